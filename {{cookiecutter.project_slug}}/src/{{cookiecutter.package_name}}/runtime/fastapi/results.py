"""Routes for following and cancelling tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ..web import events, operations
from ..web.bodies import Status, TaskId
from ..web.events import Events, Streams
from ..web.problems import Problem
from ..web.results import FollowedService
from ..web.settings import settings
from .responses import call, documented, respond

#: How many streams a process holds open by default: each asks for its task twice a second.
MOST_STREAMS = 100


class EventStream(StreamingResponse):
    """A stream of events, which counts as open until it has ended, however that happens."""

    def __init__(self, content: AsyncIterator[str], streams: Streams) -> None:
        super().__init__(content, headers=events.HEADERS, media_type=events.MEDIA_TYPE)
        self.streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.

        Raises:
            Problem: Too many are open.
        """
        with self.streams.entered():
            await super().__call__(scope, receive, send)


def routes(service: FollowedService) -> APIRouter:
    """Return the routes by which clients follow the tasks of a service."""
    router = APIRouter(prefix="/tasks/{task_id}", tags=["tasks"])
    streams = Streams(settings().web_streams or MOST_STREAMS)

    @router.get("", **documented(operations.STATUS))
    async def status(task_id: TaskId) -> Response:
        return respond(await call(service.status, task_id))

    @router.get("/result", **documented(operations.RESULT))
    async def result(task_id: TaskId) -> Response:
        return respond(await call(service.result, task_id))

    @router.get("/artifact", **documented(operations.ARTIFACT))
    async def artifact(task_id: TaskId) -> Response:
        found = await call(service.artifact, task_id)
        return StreamingResponse(found.pieces(), headers=found.headers, media_type=found.media_type)

    @router.delete("", **documented(operations.CANCEL))
    async def cancel(task_id: TaskId) -> Response:
        return respond(await call(service.cancel, task_id))

    @router.get("/events", **documented(operations.EVENTS))
    async def follow(task_id: TaskId, request: Request) -> Response:
        first = await call(service.status, task_id)  # so that an unknown id is a 404, not a stream
        last_id = request.headers.get("Last-Event-ID")
        if events.knows_the_end(first, last_id):
            return Response(status_code=204)
        return EventStream(changes(service, task_id, first, Events(last_id)), streams)

    return router


async def changes(
    service: FollowedService, task_id: str, status: Status, told: Events
) -> AsyncIterator[str]:
    """Yield the events of a task."""
    yield told.begin()
    while True:
        if text := told.of_status(status):
            yield text
        if told.is_over:
            return
        await asyncio.sleep(events.LOOK)
        try:
            status = await call(service.status, task_id)
        except Problem as problem:
            yield told.of_problem(problem)
            return
