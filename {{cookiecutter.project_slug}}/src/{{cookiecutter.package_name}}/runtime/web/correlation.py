"""The id of a request, which is added to everything that it publishes and logs."""

from __future__ import annotations

from uuid import uuid4

from .. import context

#: The header with the id of a request, which a proxy may set.
HEADER = "X-Request-ID"


def request_id(given: str | None) -> str:
    """Return the id of a request: the one in its header if it is valid, otherwise a new one."""
    return given if given and context.is_valid(given) else str(uuid4())
