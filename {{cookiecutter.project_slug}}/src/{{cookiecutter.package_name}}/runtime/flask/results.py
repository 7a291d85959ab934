"""Routes for following and cancelling tasks."""

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
    """The id of a task in a path."""

    task_id: TaskId


def routes(service: FollowedService) -> APIBlueprint:
    """Return the routes by which clients follow the tasks of a service."""
    api = APIBlueprint(
        "results",
        __name__,
        url_prefix="/tasks/<string:task_id>",
        abp_tags=[TAG],
        abp_responses=DOCUMENTED,
    )

    @api.get("", responses={200: Status})
    def status(path: Path) -> Response:
        """Show the state and progress of a task."""
        return respond(call(service.status, path.task_id))

    @api.get("/result", responses={200: Result})
    def result(path: Path) -> Response:
        """Show the return value of a task; 409 if there is none (yet)."""
        return respond(call(service.result, path.task_id))

    @api.delete("", responses={200: Status})
    def cancel(path: Path) -> Response:
        """Cancel a waiting or running task; 409 if its worker's pool cannot end it."""
        return respond(call(service.cancel, path.task_id))

    return api
