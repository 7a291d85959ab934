"""Routes of administrators: workers, queues and dead letters; all of them require the token."""

from __future__ import annotations

from flask import Response, request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from ..web import admin, bodies, operations, token
from ..web.operations import TAGS
from ..web.service import Service
from ..web.settings import settings
from ..web.threads import call
from .responses import documented, respond


class Path(BaseModel):
    """The id of a dead letter in a path."""

    dead_letter_id: str = Field(min_length=1, max_length=255)


def authorize() -> None:
    """Require the token of administrators."""
    token.authorize(request.headers.get("Authorization"), settings().token())


def routes(service: Service) -> APIBlueprint:
    """Return the routes for administrators of a service's app."""
    app = service.app
    api = APIBlueprint(
        "admin",
        __name__,
        url_prefix="/admin",
        abp_tags=[Tag(name="admin", description=TAGS["admin"])],
        abp_security=[{"bearer": []}],
    )
    api.before_request(authorize)

    @api.get("/workers", **documented(operations.WORKERS))
    def workers() -> Response:
        return respond(call(admin.workers, app))

    @api.get("/queues", **documented(operations.QUEUES))
    def queues() -> Response:
        return respond(call(admin.queues, app))

    @api.get("/active", **documented(operations.ACTIVE))
    def active() -> Response:
        return respond(call(admin.active, app))

    @api.get("/scheduled", **documented(operations.SCHEDULED))
    def scheduled() -> Response:
        return respond(call(admin.scheduled, app))

    @api.get("/registered", **documented(operations.REGISTERED))
    def registered() -> Response:
        return respond(call(admin.registered, app))

    @api.get("/dead-letters", **documented(operations.DEAD_LETTERS))
    def letters(query: bodies.DeadLetterFilter) -> Response:
        return respond(call(admin.letters, app, query))

    path_of_one = "/dead-letters/<string:dead_letter_id>"

    @api.get(path_of_one, **documented(operations.DEAD_LETTER))
    def letter(path: Path) -> Response:
        return respond(call(admin.letter, app, path.dead_letter_id))

    @api.post(f"{path_of_one}/replay", **documented(operations.REPLAY))
    def replay(path: Path) -> Response:
        return respond(call(admin.replay, service, path.dead_letter_id), 202)

    @api.delete(path_of_one, **documented(operations.DISCARD))
    def discard(path: Path) -> Response:
        call(admin.discard, app, path.dead_letter_id)
        return Response(status=204)

    return api
