"""Routes for following and cancelling tasks."""

from __future__ import annotations

from flask import Response, request
from flask_openapi import APIBlueprint
from pydantic import BaseModel

from ..web import events, operations
from ..web.bodies import TaskId
from ..web.events import Streams
from ..web.results import FollowedService
from ..web.settings import settings
from ..web.threads import call
from .responses import documented, respond
from .tasks import TAG

#: How many streams a process holds open by default: each occupies a thread of the server, which
#: has 16 (`WEB_THREADS`).
MOST_STREAMS = 8


class Path(BaseModel):
    """The id of a task in a path."""

    task_id: TaskId


def routes(service: FollowedService) -> APIBlueprint:
    """Return the routes by which clients follow the tasks of a service."""
    api = APIBlueprint("results", __name__, url_prefix="/tasks/<string:task_id>", abp_tags=[TAG])
    streams = Streams(settings().web_streams or MOST_STREAMS)

    @api.get("", **documented(operations.STATUS))
    def status(path: Path) -> Response:
        return respond(call(service.status, path.task_id))

    @api.get("/result", **documented(operations.RESULT))
    def result(path: Path) -> Response:
        return respond(call(service.result, path.task_id))

    @api.get("/artifact", **documented(operations.ARTIFACT))
    def artifact(path: Path) -> Response:
        found = call(service.artifact, path.task_id)
        answer = Response(found.pieces(), headers=found.headers, content_type=found.media_type)
        answer.call_on_close(found.file.close)
        return answer

    @api.delete("", **documented(operations.CANCEL))
    def cancel(path: Path) -> Response:
        return respond(call(service.cancel, path.task_id))

    @api.get("/events", **documented(operations.EVENTS))
    def follow(path: Path) -> Response:
        first = call(service.status, path.task_id)  # so that an unknown id is a 404, not a stream
        last_id = request.headers.get("Last-Event-ID")
        if events.knows_the_end(first, last_id):
            return Response(status=204)
        content = events.stream(streams, lambda: call(service.status, path.task_id), first, last_id)
        return Response(content, headers=events.HEADERS, content_type=events.MEDIA_TYPE)

    return api
