"""The older HTTP paths of jobs, `/jobs/NAME` and `/jobs/ID`, with unchanged answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from pydantic import RootModel

from ..web.bodies import Submission
from ..web.problems import Problem
from .models import Job
from .responses import CLIENT, body_of, route
from .service import JobService


class Arguments(RootModel[dict[str, Any]]):
    """The arguments of a task by name."""


def routes(service: JobService, names: Mapping[str, str]) -> list[URLPattern]:
    """Return the URLs of jobs.

    Args:
        service: Sends the tasks.
        names: The task of each job, by the name that clients use.
    """
    jobs = {task: name for name, task in names.items()}

    def about(job: Job, status: int = 200) -> HttpResponse:
        body = {"id": job.pk, "job": jobs.get(job.name, job.name), "requested_at": job.requested_at}
        return JsonResponse({**body, **service.told(job)}, status=status)

    def submit(request: HttpRequest, name: str) -> HttpResponse:
        """Send the task of a job; the body is an object with its arguments."""
        if name not in names:
            raise Problem(404, f"there is no job {name!r}: use one of {', '.join(names)}")
        arguments = body_of(request, Arguments).root
        accepted = service.submit(Submission(task=names[name], arguments=arguments))
        url = reverse("job", args=[accepted.id])
        body = {"id": accepted.id, "url": url}
        return JsonResponse(body, status=202, headers={"Location": url})

    def show(request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Show what is known about a job."""
        return about(service.job(job_id))

    def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Cancel a job."""
        job = service.job(job_id)
        service.stop(job)
        return about(job, 202)

    return [
        path("jobs/<uuid:job_id>", route(CLIENT, GET=show, DELETE=cancel), name="job"),
        path("jobs/<str:name>", route(CLIENT, POST=submit)),
    ]
