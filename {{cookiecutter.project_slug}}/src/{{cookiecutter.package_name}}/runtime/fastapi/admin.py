"""Routes of administrators: workers, queues and dead letters; all of them require the token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import HTTPBearer

from ..web import admin, bodies, operations, token
from ..web.service import Service
from ..web.settings import settings
from .responses import call, documented, respond

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
        dependencies=[
            Depends(HTTPBearer(auto_error=False, scheme_name="bearer")),
            Depends(authorize),
        ],
    )

    @router.get("/workers", **documented(operations.WORKERS))
    async def workers() -> Response:
        return respond(await call(admin.workers, app))

    @router.get("/queues", **documented(operations.QUEUES))
    async def queues() -> Response:
        return respond(await call(admin.queues, app))

    @router.get("/active", **documented(operations.ACTIVE))
    async def active() -> Response:
        return respond(await call(admin.active, app))

    @router.get("/scheduled", **documented(operations.SCHEDULED))
    async def scheduled() -> Response:
        return respond(await call(admin.scheduled, app))

    @router.get("/registered", **documented(operations.REGISTERED))
    async def registered() -> Response:
        return respond(await call(admin.registered, app))

    @router.get("/dead-letters", **documented(operations.DEAD_LETTERS))
    async def letters(wanted: Annotated[bodies.DeadLetterFilter, Query()]) -> Response:
        return respond(await call(admin.letters, app, wanted))

    path = "/dead-letters/{dead_letter_id}"

    @router.get(path, **documented(operations.DEAD_LETTER))
    async def letter(dead_letter_id: DeadLetterId) -> Response:
        return respond(await call(admin.letter, app, dead_letter_id))

    @router.post(f"{path}/replay", **documented(operations.REPLAY))
    async def replay(dead_letter_id: DeadLetterId) -> Response:
        return respond(await call(admin.replay, service, dead_letter_id), 202)

    @router.delete(path, **documented(operations.DISCARD))
    async def discard(dead_letter_id: DeadLetterId) -> Response:
        await call(admin.discard, app, dead_letter_id)
        return Response(status_code=204)

    return router
