"""What happens to every request before its route."""

from __future__ import annotations

from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..runtime import context
from .answers import refuse
from .problems import Problem

#: Names a request in logs, here and in all tasks that it sends; a proxy may give it.
HEADER = "X-Request-ID"


class Correlation:
    """Bind the id of a request, or a new one, to all that it publishes and logs."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER)
        request_id = given if given and context.is_valid(given) else str(uuid4())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with context.bind(correlation_id=request_id):
            await self.app(scope, receive, send_with_id)


class BodyLimit:
    """Refuse large bodies, by what they say of their length and by what arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        reason = f"the body is larger than {self.limit} bytes"
        length = Headers(scope=scope).get("Content-Length", "0")
        if int(length) > self.limit:  # a server lets only digits pass
            await refuse(Problem(413, reason))(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise HTTPException(413, reason)
            return message

        await self.app(scope, receive_limited, send)
