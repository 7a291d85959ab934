"""Routes for sending tasks."""

from __future__ import annotations

from flask import Response
from flask_openapi import APIBlueprint, Tag

from ..web import bodies
from ..web.problems import DOCUMENTED
from ..web.service import Service
from ..web.threads import LONG_DEADLINE, call
from .responses import respond

TAG = Tag(name="tasks")


def routes(service: Service) -> APIBlueprint:
    """Return the routes by which clients send tasks."""
    api = APIBlueprint(
        "tasks", __name__, url_prefix="/tasks", abp_tags=[TAG], abp_responses=DOCUMENTED
    )

    @api.get("", responses={200: bodies.AllowedTasks})
    def allowed() -> Response:
        """List the tasks that can be sent, with their arguments."""
        return respond(service.allowed())

    def submit(body: bodies.Submission) -> Response:
        """Send a task; if tasks can be followed, `Location` is the URL of its status."""
        accepted = call(service.submit, body)
        return respond(accepted, 202, service.headers(accepted))

    def submit_all(body: bodies.Submissions) -> Response:
        """Send several tasks, or none if one of them is not valid."""
        return respond(call(service.submit_all, body, deadline=LONG_DEADLINE), 202)

    # The names of the allowed tasks are known only now.
    submit.__annotations__["body"], submit_all.__annotations__["body"] = bodies.submissions(
        service.catalogue
    )
    api.post("", responses={202: bodies.Accepted})(submit)
    api.post("/bulk", responses={202: bodies.AcceptedTasks})(submit_all)
    return api
