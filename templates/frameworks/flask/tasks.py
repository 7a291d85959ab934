"""Send tasks."""

from __future__ import annotations

from flask import Response
from flask_openapi import APIBlueprint, Tag

from .. import bodies, service
from ..answers import answer, call
from ..problems import DOCUMENTED
from ..threads import LONG_DEADLINE

TAG = Tag(name="tasks")

api = APIBlueprint("tasks", __name__, url_prefix="/tasks", abp_tags=[TAG], abp_responses=DOCUMENTED)


@api.get("", responses={200: bodies.AllowedTasks})
def allowed() -> Response:
    """List the tasks that can be sent, and their arguments."""
    return answer(service.allowed())


@api.post("", responses={202: bodies.Accepted})
def submit(body: bodies.Submission) -> Response:
    """Send a task{{ "; `Location` is its status" if cookiecutter.__results }}."""
    accepted = call(service.submit, body)
{% if cookiecutter.__results %}
    return answer(accepted, 202, {"Location": f"/tasks/{accepted.id}"})
{% else %}
    return answer(accepted, 202)
{% endif %}


@api.post("/bulk", responses={202: bodies.AcceptedTasks})
def submit_all(body: bodies.Submissions) -> Response:
    """Send tasks, or none if one of them is not valid."""
    return answer(call(service.submit_all, body, deadline=LONG_DEADLINE), 202)
