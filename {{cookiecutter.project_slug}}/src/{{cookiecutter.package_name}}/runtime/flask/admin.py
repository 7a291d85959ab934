"""Routes of administrators: workers, queues and dead letters; all of them require the token."""

from __future__ import annotations

from flask import Response, request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from ..web import admin, bodies, token
from ..web.problems import DOCUMENTED
from ..web.service import Service
from ..web.settings import settings
from ..web.threads import call
from .responses import respond


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
        abp_tags=[Tag(name="admin")],
        abp_security=[{"bearer": []}],
        abp_responses=DOCUMENTED,
    )
    api.before_request(authorize)

    @api.get("/workers", responses={200: bodies.Workers})
    def workers() -> Response:
        """List the workers that answer."""
        return respond(call(admin.workers, app))

    @api.get("/queues", responses={200: bodies.Queues})
    def queues() -> Response:
        """Show how many messages wait in each queue, and for how long."""
        return respond(call(admin.queues, app))

    @api.get("/active", responses={200: bodies.HeldTasks})
    def active() -> Response:
        """List the running tasks."""
        return respond(call(admin.active, app))

    @api.get("/scheduled", responses={200: bodies.HeldTasks})
    def scheduled() -> Response:
        """List the tasks that workers hold until they are due."""
        return respond(call(admin.scheduled, app))

    @api.get("/registered", responses={200: bodies.Registered})
    def registered() -> Response:
        """List the tasks that each worker knows."""
        return respond(call(admin.registered, app))

    @api.get("/dead-letters", responses={200: bodies.DeadLetterPage})
    def letters(query: bodies.DeadLetterFilter) -> Response:
        """List dead letters (tasks that failed for good), the newest first."""
        return respond(call(admin.letters, app, query))

    path_of_one = "/dead-letters/<string:dead_letter_id>"

    @api.get(path_of_one, responses={200: bodies.WholeDeadLetter})
    def letter(path: Path) -> Response:
        """Show everything about a dead letter."""
        return respond(call(admin.letter, app, path.dead_letter_id))

    @api.post(f"{path_of_one}/replay", responses={202: bodies.Accepted})
    def replay(path: Path) -> Response:
        """Send the task of a dead letter again, once, as a new task."""
        return respond(call(admin.replay, service, path.dead_letter_id), 202)

    @api.delete(path_of_one, responses={204: None})
    def discard(path: Path) -> Response:
        """Delete a dead letter."""
        call(admin.discard, app, path.dead_letter_id)
        return Response(status=204)

    return api
