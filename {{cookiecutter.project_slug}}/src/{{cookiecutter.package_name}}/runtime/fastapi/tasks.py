"""Routes for sending tasks."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ..web import bodies, operations
from ..web.service import Service
from ..web.threads import LONG_DEADLINE
from .responses import call, documented, respond


def routes(service: Service) -> APIRouter:
    """Return the routes by which clients send tasks."""
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    @router.get("", **documented(operations.ALLOWED))
    async def allowed() -> Response:
        return respond(service.allowed())

    async def submit(submission: bodies.Submission) -> Response:
        accepted = await call(service.submit, submission)
        return respond(accepted, 202, service.headers(accepted))

    async def submit_all(submissions: bodies.Submissions) -> Response:
        accepted = await call(service.submit_all, submissions, deadline=LONG_DEADLINE)
        return respond(accepted, 202)

    # The names of the allowed tasks are known only now.
    one, many = bodies.submissions(service.catalogue)
    submit.__annotations__["submission"] = one
    submit_all.__annotations__["submissions"] = many
    router.post("", **documented(operations.SUBMIT))(submit)
    router.post("/bulk", **documented(operations.SUBMIT_ALL))(submit_all)
    return router
