"""What is known of a task that was sent: its state, progress and result; and how to cancel it."""

from __future__ import annotations

from typing import Any

from celery import states
from pydantic import BaseModel

from ..celery import app
from ..runtime.tasks import followed
from ..runtime.tasks.followed import Report
from ..runtime.tasks.progress import PROGRESS
from . import servers
from .bodies import plain
from .problems import Problem


class Failure(BaseModel):
    """Why a task failed."""

    error: str
    message: str


class Status(BaseModel):
    """How a task is."""

    id: str
    #: `SENT`, `STARTED`, `PROGRESS`, `RETRY`; `SUCCESS`, `FAILURE`, `REVOKED`.
    state: str
    #: Whether it has ended.
    ended: bool
    #: How far it is, while it says so: `current`, `total`, `percent`, `message`.
    progress: dict[str, Any] | None
    #: The error of a task that failed, or that is tried again.
    failure: Failure | None


class Result(BaseModel):
    """What a task returned."""

    id: str
    result: Any


def status_of(task_id: str, report: Report) -> Status:
    """Return a report as clients see it."""
    state, info = report
    failure = None
    if isinstance(info, Exception) and state != states.REVOKED:
        failure = Failure(error=type(info).__name__, message=str(info))
    return Status(
        id=task_id,
        state=state,
        ended=state in states.READY_STATES,
        progress=plain(info) if state == PROGRESS and isinstance(info, dict) else None,
        failure=failure,
    )


def status(task_id: str) -> Status:
    """Return how a task is.

    Raises:
        UnknownTaskError: No such task was sent.
    """
    return status_of(task_id, followed.look(app, task_id))


def result(task_id: str) -> Result:
    """Return what a task returned.

    Raises:
        UnknownTaskError: No such task was sent.
        Problem: There is no result, or none yet.
    """
    report = followed.look(app, task_id)
    if report.state != states.SUCCESS:
        more = "it will have none" if report.state in states.READY_STATES else "ask again later"
        raise Problem(409, f"the task has no result, its state is {report.state}: {more}")
    return Result(id=task_id, result=plain(report.info))


def cancel(task_id: str) -> Status:
    """Let a task that waits never start, or end one that runs.

    Raises:
        UnknownTaskError: No such task was sent.
        NotCancelledError: It has ended, or its pool cannot end it.
    """
    if followed.look(app, task_id).state in followed.WAITING:
        followed.cancel(app, task_id)
    else:
        with servers.broker() as connection:
            followed.cancel(app, task_id, connection)
    return status(task_id)
