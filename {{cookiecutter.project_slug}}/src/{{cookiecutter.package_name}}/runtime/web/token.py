"""The bearer token of those who may administer."""

from __future__ import annotations

import hmac

from .problems import Problem


def authorize(header: str | None, token: str) -> None:
    """Let a request pass that holds the token.

    A browser sends no such header by itself, so a foreign page cannot forge a request.

    Args:
        header: `Authorization` of the request.
        token: The token that it must hold.

    Raises:
        Problem: It does not.
    """
    scheme, _, given = (header or "").partition(" ")
    # In constant time, since the time of an ordinary comparison tells how much of a token is right.
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not is_right:
        headers = {"WWW-Authenticate": "Bearer"}
        raise Problem(401, "send the header `Authorization: Bearer` with the admin token", headers)
