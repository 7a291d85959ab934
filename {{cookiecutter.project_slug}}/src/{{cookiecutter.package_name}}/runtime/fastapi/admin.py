"""Routes of administrators: workers, queues and dead letters; all of them require the token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import HTTPBearer

from ..web import admin, bodies, token
from ..web.problems import DOCUMENTED
from ..web.service import Service
from ..web.settings import settings
from .responses import call, respond

DeadLetterId = Annotated[str, Path(min_length=1, max_length=255)]


def authorize(request: Request) -> None:
    """Require the token of administrators."""
    token.authorize(request.headers.get("Authorization"), settings().token())


def routes(service: Service) -> APIRouter:
    """Return the routes for administrators of a service's app."""
    app = service.app
    router = APIRouter(
        prefix="/admin",
        tags=["admin"],
        # The first dependency is there only for the documentation.
        dependencies=[Depends(HTTPBearer(auto_error=False)), Depends(authorize)],
        responses=DOCUMENTED,
    )

    @router.get("/workers", response_model=bodies.Workers)
    async def workers() -> Response:
        """List the workers that answer."""
        return respond(await call(admin.workers, app))

    @router.get("/queues", response_model=bodies.Queues)
    async def queues() -> Response:
        """Show how many messages wait in each queue, and for how long."""
        return respond(await call(admin.queues, app))

    @router.get("/active", response_model=bodies.HeldTasks)
    async def active() -> Response:
        """List the running tasks."""
        return respond(await call(admin.active, app))

    @router.get("/scheduled", response_model=bodies.HeldTasks)
    async def scheduled() -> Response:
        """List the tasks that workers hold until they are due."""
        return respond(await call(admin.scheduled, app))

    @router.get("/registered", response_model=bodies.Registered)
    async def registered() -> Response:
        """List the tasks that each worker knows."""
        return respond(await call(admin.registered, app))

    @router.get("/dead-letters", response_model=bodies.DeadLetterPage)
    async def letters(wanted: Annotated[bodies.DeadLetterFilter, Query()]) -> Response:
        """List dead letters (tasks that failed for good), the newest first."""
        return respond(await call(admin.letters, app, wanted))

    path = "/dead-letters/{dead_letter_id}"

    @router.get(path, response_model=bodies.WholeDeadLetter)
    async def letter(dead_letter_id: DeadLetterId) -> Response:
        """Show everything about a dead letter."""
        return respond(await call(admin.letter, app, dead_letter_id))

    @router.post(f"{path}/replay", status_code=202, response_model=bodies.Accepted)
    async def replay(dead_letter_id: DeadLetterId) -> Response:
        """Send the task of a dead letter again, once, as a new task."""
        return respond(await call(admin.replay, service, dead_letter_id), 202)

    @router.delete(path, status_code=204)
    async def discard(dead_letter_id: DeadLetterId) -> Response:
        """Delete a dead letter."""
        await call(admin.discard, app, dead_letter_id)
        return Response(status_code=204)

    return router
