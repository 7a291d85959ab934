"""The bearer token of administrators."""

from __future__ import annotations

import hmac

from .problems import Problem


def authorize(header: str | None, token: str) -> None:
    """Check that a request holds the token.

    A browser does not send this header by itself, so another site cannot forge a request.

    Args:
        header: The `Authorization` header of the request.
        token: The token that it must hold.

    Raises:
        Problem: It does not.
    """
    scheme, _, given = (header or "").partition(" ")
    # In constant time: an ordinary comparison takes longer the more of the token is right.
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not is_right:
        headers = {"WWW-Authenticate": "Bearer"}
        raise Problem(401, "send the admin token in the header `Authorization: Bearer`", headers)
