"""Routes for sending tasks."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ..web import bodies
from ..web.problems import DOCUMENTED
from ..web.service import Service
from ..web.threads import LONG_DEADLINE
from .responses import call, respond


def routes(service: Service) -> APIRouter:
    """Return the routes by which clients send tasks."""
    router = APIRouter(prefix="/tasks", tags=["tasks"], responses=DOCUMENTED)

    @router.get("", response_model=bodies.AllowedTasks)
    async def allowed() -> Response:
        """List the tasks that can be sent, with their arguments."""
        return respond(service.allowed())

    async def submit(submission: bodies.Submission) -> Response:
        """Send a task; if tasks can be followed, `Location` is the URL of its status."""
        accepted = await call(service.submit, submission)
        return respond(accepted, 202, service.headers(accepted))

    async def submit_all(submissions: bodies.Submissions) -> Response:
        """Send several tasks, or none if one of them is not valid."""
        accepted = await call(service.submit_all, submissions, deadline=LONG_DEADLINE)
        return respond(accepted, 202)

    # The names of the allowed tasks are known only now.
    one, many = bodies.submissions(service.catalogue)
    submit.__annotations__["submission"] = one
    submit_all.__annotations__["submissions"] = many
    router.post("", status_code=202, response_model=bodies.Accepted)(submit)
    router.post("/bulk", status_code=202, response_model=bodies.AcceptedTasks)(submit_all)
    return router
