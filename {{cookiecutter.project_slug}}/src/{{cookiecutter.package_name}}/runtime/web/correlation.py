"""The id of a request, which all that it publishes and logs carries."""

from __future__ import annotations

from uuid import uuid4

from .. import context

#: Names a request in logs, here and in all tasks that it sends; a proxy may give it.
HEADER = "X-Request-ID"


def request_id(given: str | None) -> str:
    """Return the id of a request: the one that it brought, if that is valid, or a new one."""
    return given if given and context.is_valid(given) else str(uuid4())
