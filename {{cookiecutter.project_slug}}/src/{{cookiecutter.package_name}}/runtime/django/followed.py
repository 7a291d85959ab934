"""Jobs that clients can follow by their ids: where every process can read all results."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import states
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from pydantic import TypeAdapter, ValidationError

from ..tasks import followed
from ..tasks.followed import NotCancelledError, Report, UnknownTaskError
from ..tasks.progress import PROGRESS, ProgressTask
from ..web import problems, servers
from ..web.bodies import TaskId, plain
from ..web.problems import Problem
from ..web.results import FollowedService, Result, Status, explained, status_of
from .models import Job
from .responses import CLIENT, respond, route
from .service import JobService

#: Of a task that waits; its message may be in a queue, or held until its time has come.
WAITING = {followed.SENT, states.RETRY}

ID = TypeAdapter(TaskId)


class FollowedJobService(JobService, FollowedService):
    """Tell the state and the result of jobs: the row says what the result store does not know."""

    def look(self, job: Job) -> Report:
        """Return what is known of a job."""
        try:
            return followed.look(self.app, str(job.pk))
        except UnknownTaskError:
            return Report(states.REVOKED if job.cancelled_at else followed.SENT, None)

    def status(self, task_id: str) -> Status:
        """Return how a task is.

        Raises:
            Problem: No such task was sent.
        """
        return status_of(task_id, self.look(self.job(task_id)))

    def result(self, task_id: str) -> Result:
        """Return what a task returned.

        Raises:
            Problem: No such task was sent; there is no result, or none yet.
        """
        state, value = self.look(self.job(task_id))
        if state != states.SUCCESS:
            more = "it will have none" if state in states.READY_STATES else "ask again later"
            raise Problem(409, f"the task has no result, its state is {state}: {more}")
        return Result(id=task_id, result=plain(value))

    def cancel(self, task_id: str) -> Status:
        """Let a task that waits never start, or end one that runs.

        Raises:
            Problem: No such task was sent; it has ended, or its pool cannot end it.
        """
        self.stop(self.job(task_id))
        return self.status(task_id)

    def stop(self, job: Job) -> None:
        """Let the task of a job never start, or end it.

        A task writes that it starts before it looks at its row, and here it is the other way round:
        at least one of the two sees the other, so no task runs that was said to be cancelled.

        Raises:
            Problem: It has ended, or its pool cannot end it.
        """
        with explained():
            if self.is_over(job):
                return
            job.cancel()
            state = self.look(job).state
            try:
                if state in WAITING | {states.REVOKED}:
                    self.app.backend.mark_as_revoked(str(job.pk), "cancelled")
                elif not self.reports(job):
                    self.end(job)
            except BaseException:
                if self.look(job).state != states.REVOKED:  # it may have seen its row
                    job.resume()
                    raise

    def is_over(self, job: Job) -> bool:
        """Return whether a job was cancelled.

        Raises:
            NotCancelledError: It has ended in another way.
        """
        state = self.look(job).state
        if state in states.READY_STATES - {states.REVOKED}:
            raise NotCancelledError(f"it has ended: {state}")
        return state == states.REVOKED

    def reports(self, job: Job) -> bool:
        """Return whether the task of a job reports its progress: it ends at its next report."""
        return isinstance(self.app.tasks.get(job.name), ProgressTask)

    def end(self, job: Job) -> None:
        """End a task that runs.

        Raises:
            NotCancelledError: Its pool cannot, or no worker answers for it.
        """
        if str(self.app.conf.broker_url).startswith("filesystem:"):
            raise NotCancelledError(
                "it runs, and to end it would lock the files that workers have as their broker"
            )
        with servers.broker(self.app) as connection:
            followed.end(self.app, str(job.pk), connection)

    def told(self, job: Job) -> dict[str, Any]:
        """Return what is known of a job beside its name; `PENDING` is one that waits."""
        state, value = self.look(job)
        told: dict[str, Any] = {"state": states.PENDING if state == followed.SENT else state}
        if state == PROGRESS:
            told["progress"] = value
        elif state == states.SUCCESS:
            told["result"] = value
        elif state == states.FAILURE:
            told["error"] = f"{type(value).__name__}: {value}"
        return told


def checked(task_id: str) -> str:
    """Return an id of a task.

    Raises:
        Problem: It cannot be one.
    """
    try:
        return ID.validate_python(task_id)
    except ValidationError as error:
        raise problems.of_fields(
            {**detail, "loc": ["task_id"]} for detail in error.errors()
        ) from None


def routes(service: FollowedJobService) -> list[URLPattern]:
    """Return the URLs by which clients follow what a service has sent."""

    def status(request: HttpRequest, task_id: str) -> HttpResponse:
        """Tell the state and the progress of a task."""
        return respond(service.status(checked(task_id)))

    def result(request: HttpRequest, task_id: str) -> HttpResponse:
        """Return what a task returned; 409 while there is no result."""
        return respond(service.result(checked(task_id)))

    def cancel(request: HttpRequest, task_id: str) -> HttpResponse:
        """Let a task that waits never start, or end one that runs; 409 if its pool cannot."""
        return respond(service.cancel(checked(task_id)))

    one = partial(route, CLIENT)
    return [
        path("tasks/<str:task_id>", one(GET=status, DELETE=cancel)),
        path("tasks/<str:task_id>/result", one(GET=result)),
    ]
