"""The bearer tokens of administrators and of Prometheus."""

from __future__ import annotations

import hmac

from .problems import Problem


def authorize(header: str | None, token: str, name: str = "admin token") -> None:
    """Check that a request holds the token.

    A browser does not send this header by itself, so another site cannot forge a request.

    Args:
        header: The `Authorization` header of the request.
        token: The token that it must hold.
        name: What the token is called.

    Raises:
        Problem: It does not.
    """
    scheme, _, given = (header or "").partition(" ")
    # In constant time: an ordinary comparison takes longer the more of the token is right.
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not is_right:
        headers = {"WWW-Authenticate": "Bearer"}
        raise Problem(401, f"send the {name} in the header `Authorization: Bearer`", headers)
