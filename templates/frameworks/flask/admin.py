"""Administer workers, queues and dead letters; every route needs the token."""

from __future__ import annotations

from flask import Response, request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from .. import admin, bodies
from ..answers import answer, call
from ..problems import DOCUMENTED

api = APIBlueprint(
    "admin",
    __name__,
    url_prefix="/admin",
    abp_tags=[Tag(name="admin")],
    abp_security=[{"bearer": []}],
    abp_responses=DOCUMENTED,
)


@api.before_request
def authorize() -> None:
    """Let administrators pass."""
    admin.authorize(request.headers.get("Authorization"))


class Path(BaseModel):
    """Which letter."""

    letter_id: str = Field(min_length=1, max_length=255)


@api.get("/workers", responses={200: bodies.Workers})
def workers() -> Response:
    """List the workers that answer."""
    return answer(call(admin.workers))


@api.get("/queues", responses={200: bodies.Queues})
def queues() -> Response:
    """Tell how many messages wait in each queue, and for how long."""
    return answer(call(admin.queues))


@api.get("/active", responses={200: bodies.HeldTasks})
def active() -> Response:
    """List the tasks that run."""
    return answer(call(admin.active))


@api.get("/scheduled", responses={200: bodies.HeldTasks})
def scheduled() -> Response:
    """List the tasks that workers hold until their time has come."""
    return answer(call(admin.scheduled))


@api.get("/registered", responses={200: bodies.Registered})
def registered() -> Response:
    """List the tasks that each worker knows."""
    return answer(call(admin.registered))


@api.get("/dead-letters", responses={200: bodies.LetterPage})
def letters(query: admin.LetterFilter) -> Response:
    """List what failed for good, the newest first."""
    return answer(call(admin.letters, query))


@api.get("/dead-letters/<string:letter_id>", responses={200: bodies.WholeLetter})
def letter(path: Path) -> Response:
    """Show all of a dead letter."""
    return answer(call(admin.letter, path.letter_id))


@api.post("/dead-letters/<string:letter_id>/replay", responses={202: bodies.Accepted})
def replay(path: Path) -> Response:
    """Send the task of a dead letter again, once, as a new task."""
    return answer(call(admin.replay, path.letter_id), 202)


@api.delete("/dead-letters/<string:letter_id>", responses={204: None})
def discard(path: Path) -> Response:
    """Delete a dead letter."""
    call(admin.discard, path.letter_id)
    return Response(status=204)
