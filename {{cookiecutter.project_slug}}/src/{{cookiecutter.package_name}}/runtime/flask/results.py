"""Follow tasks and cancel them."""

from __future__ import annotations

from flask import Response
from flask_openapi import APIBlueprint
from pydantic import BaseModel

from ..web.bodies import TaskId
from ..web.problems import DOCUMENTED
from ..web.results import FollowedService, Result, Status
from ..web.threads import call
from .responses import respond
from .tasks import TAG


class Path(BaseModel):
    """Which task."""

    task_id: TaskId


def routes(service: FollowedService) -> APIBlueprint:
    """Return the routes by which clients follow what a service has sent."""
    api = APIBlueprint(
        "results",
        __name__,
        url_prefix="/tasks/<string:task_id>",
        abp_tags=[TAG],
        abp_responses=DOCUMENTED,
    )

    @api.get("", responses={200: Status})
    def status(path: Path) -> Response:
        """Tell the state and the progress of a task."""
        return respond(call(service.status, path.task_id))

    @api.get("/result", responses={200: Result})
    def result(path: Path) -> Response:
        """Return what a task returned; 409 while there is no result."""
        return respond(call(service.result, path.task_id))

    @api.delete("", responses={200: Status})
    def cancel(path: Path) -> Response:
        """Let a task that waits never start, or end one that runs; 409 if its pool cannot."""
        return respond(call(service.cancel, path.task_id))

    return api
