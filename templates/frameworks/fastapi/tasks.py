"""Send tasks."""

from __future__ import annotations

from fastapi import APIRouter, Response

from .. import bodies, service
from ..answers import answer, call
from ..problems import DOCUMENTED
from ..threads import LONG_DEADLINE

router = APIRouter(prefix="/tasks", tags=["tasks"], responses=DOCUMENTED)


@router.get("", response_model=bodies.AllowedTasks)
async def allowed() -> Response:
    """List the tasks that can be sent, and their arguments."""
    return answer(service.allowed())


@router.post("", status_code=202, response_model=bodies.Accepted)
async def submit(submission: bodies.Submission) -> Response:
    """Send a task{{ "; `Location` is its status" if cookiecutter.__results }}."""
    accepted = await call(service.submit, submission)
{% if cookiecutter.__results %}
    return answer(accepted, 202, {"Location": f"/tasks/{accepted.id}"})
{% else %}
    return answer(accepted, 202)
{% endif %}


@router.post("/bulk", status_code=202, response_model=bodies.AcceptedTasks)
async def submit_all(submissions: bodies.Submissions) -> Response:
    """Send tasks, or none if one of them is not valid."""
    accepted = await call(service.submit_all, submissions, deadline=LONG_DEADLINE)
    return answer(accepted, 202)
