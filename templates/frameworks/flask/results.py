"""Follow tasks and cancel them."""

from __future__ import annotations

from flask import Response
from flask_openapi import APIBlueprint
from pydantic import BaseModel

from .. import results
from ..answers import answer, call
from ..bodies import TaskId
from ..problems import DOCUMENTED
from .tasks import TAG

api = APIBlueprint(
    "results",
    __name__,
    url_prefix="/tasks/<string:task_id>",
    abp_tags=[TAG],
    abp_responses=DOCUMENTED,
)


class Path(BaseModel):
    """Which task."""

    task_id: TaskId


@api.get("", responses={200: results.Status})
def status(path: Path) -> Response:
    """Tell the state and the progress of a task."""
    return answer(call(results.status, path.task_id))


@api.get("/result", responses={200: results.Result})
def result(path: Path) -> Response:
    """Return what a task returned; 409 while there is no result."""
    return answer(call(results.result, path.task_id))


@api.delete("", responses={200: results.Status})
def cancel(path: Path) -> Response:
    """Let a task that waits never start, or end one that runs; 409 if its pool cannot."""
    return answer(call(results.cancel, path.task_id))
