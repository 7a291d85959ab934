"""Administer workers, queues and dead letters; every route needs the token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import HTTPBearer

from .. import admin, bodies
from ..answers import answer, call
from ..problems import DOCUMENTED


def authorize(request: Request) -> None:
    """Let administrators pass."""
    admin.authorize(request.headers.get("Authorization"))


router = APIRouter(
    prefix="/admin",
    tags=["admin"],
    # The first one is for the documentation only.
    dependencies=[Depends(HTTPBearer(auto_error=False)), Depends(authorize)],
    responses=DOCUMENTED,
)

LetterId = Annotated[str, Path(min_length=1, max_length=255)]


@router.get("/workers", response_model=bodies.Workers)
async def workers() -> Response:
    """List the workers that answer."""
    return answer(await call(admin.workers))


@router.get("/queues", response_model=bodies.Queues)
async def queues() -> Response:
    """Tell how many messages wait in each queue, and for how long."""
    return answer(await call(admin.queues))


@router.get("/active", response_model=bodies.HeldTasks)
async def active() -> Response:
    """List the tasks that run."""
    return answer(await call(admin.active))


@router.get("/scheduled", response_model=bodies.HeldTasks)
async def scheduled() -> Response:
    """List the tasks that workers hold until their time has come."""
    return answer(await call(admin.scheduled))


@router.get("/registered", response_model=bodies.Registered)
async def registered() -> Response:
    """List the tasks that each worker knows."""
    return answer(await call(admin.registered))


@router.get("/dead-letters", response_model=bodies.LetterPage)
async def letters(wanted: Annotated[admin.LetterFilter, Query()]) -> Response:
    """List what failed for good, the newest first."""
    return answer(await call(admin.letters, wanted))


@router.get("/dead-letters/{letter_id}", response_model=bodies.WholeLetter)
async def letter(letter_id: LetterId) -> Response:
    """Show all of a dead letter."""
    return answer(await call(admin.letter, letter_id))


@router.post("/dead-letters/{letter_id}/replay", status_code=202, response_model=bodies.Accepted)
async def replay(letter_id: LetterId) -> Response:
    """Send the task of a dead letter again, once, as a new task."""
    return answer(await call(admin.replay, letter_id), 202)


@router.delete("/dead-letters/{letter_id}", status_code=204)
async def discard(letter_id: LetterId) -> Response:
    """Delete a dead letter."""
    await call(admin.discard, letter_id)
    return Response(status_code=204)
