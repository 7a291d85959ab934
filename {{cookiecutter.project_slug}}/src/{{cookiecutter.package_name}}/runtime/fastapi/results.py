"""Routes for following and cancelling tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from ..web.answers import of_problem, to_json
from ..web.bodies import TaskId
from ..web.problems import DOCUMENTED, Problem
from ..web.results import FollowedService, Result, Status
from .responses import call, respond

#: Seconds between two looks at a task, between two keep-alive comments, and until the stream ends.
LOOK, SIGN_OF_LIFE, LONGEST_STREAM = 0.5, 15.0, 600.0


def routes(service: FollowedService) -> APIRouter:
    """Return the routes by which clients follow the tasks of a service."""
    router = APIRouter(prefix="/tasks/{task_id}", tags=["tasks"], responses=DOCUMENTED)

    @router.get("", response_model=Status)
    async def status(task_id: TaskId) -> Response:
        """Show the state and progress of a task."""
        return respond(await call(service.status, task_id))

    @router.get("/result", response_model=Result)
    async def result(task_id: TaskId) -> Response:
        """Show the return value of a task; 409 if there is none (yet)."""
        return respond(await call(service.result, task_id))

    @router.delete("", response_model=Status)
    async def cancel(task_id: TaskId) -> Response:
        """Cancel a waiting or running task; 409 if its worker's pool cannot end it."""
        return respond(await call(service.cancel, task_id))

    @router.get("/events", response_class=StreamingResponse)
    async def events(task_id: TaskId) -> Response:
        """Stream the status as server-sent events whenever it changes; the last event is `end`."""
        first = await call(service.status, task_id)  # so that an unknown id is a 404, not a stream
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            changes(service, task_id, first), media_type="text/event-stream", headers=headers
        )

    return router


async def changes(service: FollowedService, task_id: str, status: Status) -> AsyncIterator[str]:
    """Yield an event for every change of a status, and keep-alive comments in between."""
    start = told_at = time.monotonic()
    told = ""
    while True:
        text = to_json(status)
        if status.ended:
            yield f"event: end\ndata: {text}\n\n"
            return
        if text != told:
            yield f"event: status\ndata: {text}\n\n"
            told, told_at = text, time.monotonic()
        elif time.monotonic() - told_at >= SIGN_OF_LIFE:
            yield ": still here\n\n"
            told_at = time.monotonic()
        if time.monotonic() - start >= LONGEST_STREAM:
            return
        await asyncio.sleep(LOOK)
        try:
            status = await call(service.status, task_id)
        except Problem as problem:
            yield f"event: problem\ndata: {of_problem(problem).text}\n\n"
            return
