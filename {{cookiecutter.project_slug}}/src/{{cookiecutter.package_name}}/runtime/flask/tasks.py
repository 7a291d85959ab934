"""Routes for sending tasks."""

from __future__ import annotations

from flask import Response
from flask_openapi import APIBlueprint, Tag

from ..web import bodies, operations
from ..web.operations import TAGS
from ..web.service import Service
from ..web.threads import LONG_DEADLINE, call
from .responses import documented, respond

TAG = Tag(name="tasks", description=TAGS["tasks"])


def routes(service: Service) -> APIBlueprint:
    """Return the routes by which clients send tasks."""
    api = APIBlueprint("tasks", __name__, url_prefix="/tasks", abp_tags=[TAG])

    @api.get("", **documented(operations.ALLOWED))
    def allowed() -> Response:
        return respond(service.allowed())

    def submit(body: bodies.Submission) -> Response:
        accepted = call(service.submit, body)
        return respond(accepted, 202, service.headers(accepted))

    def submit_all(body: bodies.Submissions) -> Response:
        return respond(call(service.submit_all, body, deadline=LONG_DEADLINE), 202)

    # The names of the allowed tasks are known only now.
    submit.__annotations__["body"], submit_all.__annotations__["body"] = bodies.submissions(
        service.catalogue
    )
    api.post("", **documented(operations.SUBMIT))(submit)
    api.post("/bulk", **documented(operations.SUBMIT_ALL))(submit_all)
    return api
