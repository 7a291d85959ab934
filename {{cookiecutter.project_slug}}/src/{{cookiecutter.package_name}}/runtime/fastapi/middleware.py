"""Middleware, through which every request passes before its route."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import context
from ..web.correlation import HEADER, request_id
from ..web.problems import Problem
from .responses import refuse


class Correlation:
    """Middleware that adds the id of a request to everything that it publishes and logs."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        correlation_id = request_id(Headers(scope=scope).get(HEADER))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = correlation_id
            await send(message)

        with context.bind(correlation_id=correlation_id):
            await self.app(scope, receive, send_with_id)


class BodyLimit:
    """Middleware that refuses bodies that are too large, by their declared and actual length."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        reason = f"the body is larger than {self.limit} bytes: send less"
        length = Headers(scope=scope).get("Content-Length", "0")
        if int(length) > self.limit:  # the server accepts only digits here
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
