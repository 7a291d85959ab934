"""Jobs that clients can follow by id; they need results that all processes can read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from celery import states
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from pydantic import TypeAdapter, ValidationError

from ..config.environment import Variables, read
from ..config.values import Count
from ..tasks import followed
from ..tasks.followed import NotCancelledError, Report, UnknownTaskError
from ..tasks.progress import PROGRESS, ProgressTask
from ..web import events, problems, servers
from ..web.bodies import Result, Status, TaskId, plain
from ..web.events import Streams
from ..web.problems import Problem
from ..web.results import FollowedService, explained, status_of
from .models import Job
from .pages import live
from .responses import CLIENT, problem_of, respond, route
from .service import EXPIRED, JobService, Seen

#: The state of a waiting task, whose message is in a queue, or held by a worker until it is due.
WAITING = {followed.SENT, states.RETRY}

#: States of a task that has failed, for good or until its retry.
FAILED = {states.FAILURE, states.RETRY}

ID = TypeAdapter(TaskId)

T = TypeVar("T")


class Settings(Variables):
    """The limit on event streams."""

    # How many event streams one process may hold open: each occupies one of the 4 threads that
    # gunicorn has (`WEB_THREADS`).
    app_web_streams: Count = 2


class FollowedJobService(JobService, FollowedService):
    """A service that shows the state and result of jobs; the row completes the result store."""

    def look(self, job: Job) -> Report:
        """Return what is known about a job."""
        try:
            return followed.look(self.app, str(job.pk))
        except UnknownTaskError:
            return Report(states.REVOKED if job.cancelled_at else followed.SENT, None)

    def status(self, task_id: str) -> Status:
        """Return the state of a task.

        Raises:
            Problem: No such task was sent.
        """
        return status_of(task_id, self.look(self.job(task_id)))

    def result(self, task_id: str) -> Result:
        """Return what a task returned.

        Raises:
            Problem: No such task was sent, or it has no result (yet).
        """
        state, value = self.look(self.job(task_id))
        if state != states.SUCCESS:
            more = "it will never have one" if state in states.READY_STATES else "ask again later"
            raise Problem(409, f"the task has no result, because its state is {state}: {more}")
        return Result(id=task_id, result=plain(value))

    def name_of(self, task_id: str) -> str:
        """Return the name of a task."""
        return self.job(task_id).task

    def cancel(self, task_id: str) -> Status:
        """Cancel a task: a waiting one will never start, a running one is ended.

        Raises:
            Problem: No such task was sent; it has ended, or its pool cannot end it.
        """
        self.stop(self.job(task_id))
        return self.status(task_id)

    def stop(self, job: Job) -> None:
        """Prevent the task of a job from starting, or end it.

        A task records its start and then looks at its row; this method marks the row and then looks
        for the start. At least one of the two sees the other, so a task that was reported as
        cancelled never runs.

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
                if self.look(job).state != states.REVOKED:  # the task may have seen the row
                    job.resume()
                    raise

    def is_over(self, job: Job) -> bool:
        """Return whether a job was cancelled.

        Raises:
            NotCancelledError: It has ended in another way.
        """
        state = self.look(job).state
        if state in states.READY_STATES - {states.REVOKED}:
            raise NotCancelledError(f"the task has ended already: {state}")
        return state == states.REVOKED

    def reports(self, job: Job) -> bool:
        """Return whether the task of a job reports progress; if so, it ends at its next report."""
        return isinstance(self.app.tasks.get(job.name), ProgressTask)

    def end(self, job: Job) -> None:
        """End a running task.

        Raises:
            NotCancelledError: Its pool cannot, or no worker answers for it.
        """
        with servers.broker(self.app) as connection:
            followed.end(self.app, str(job.pk), connection)

    def seen(self, job: Job) -> Seen:
        """Return what is known about a job."""
        meta = self.app.backend.get_task_meta(str(job.pk), cache=False)
        state, value = meta["status"], meta["result"]
        if job.cancelled_at and not job.started_at and state not in states.READY_STATES:
            # A worker that takes its message records a start before it looks at the row, but not
            # in the row.
            return Seen(states.REVOKED)
        if state == states.PENDING and job.started_at:
            return Seen(EXPIRED)
        return Seen(
            state,
            progress=value if state == PROGRESS and isinstance(value, dict) else None,
            result=value if state == states.SUCCESS else None,
            error=f"{type(value).__name__}: {value}" if state in FAILED else "",
            ended_at=moment(meta.get("date_done")) if state in states.READY_STATES else None,
        )

    def after_stop(self, job: Job) -> str:
        """Return what has become of a job that `stop` did not end; nothing if it is cancelled."""
        if self.seen(job).state == states.REVOKED:
            return ""
        return "it is running, and ends at its next report of progress"

    def told(self, job: Job) -> dict[str, Any]:
        """Return what is known about a job, besides its name; `PENDING` means that it waits."""
        state, value = self.look(job)
        told: dict[str, Any] = {"state": states.PENDING if state == followed.SENT else state}
        if state == PROGRESS:
            told["progress"] = value
        elif state == states.SUCCESS:
            told["result"] = value
        elif state == states.FAILURE:
            told["error"] = f"{type(value).__name__}: {value}"
        return told


def moment(date: str | datetime | None) -> datetime | None:
    """Return the time at which a task ended, which most result backends store as UTC text."""
    found = datetime.fromisoformat(date) if isinstance(date, str) else date
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def checked(task_id: str) -> str:
    """Return the id if it can be the id of a task.

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
    """Return the URLs by which clients follow the tasks of a service, and of the live page."""
    streams = Streams(read(Settings).app_web_streams)

    def status(request: HttpRequest, task_id: str) -> HttpResponse:
        """Show the state and progress of a task."""
        return respond(service.status(checked(task_id)))

    def result(request: HttpRequest, task_id: str) -> HttpResponse:
        """Show the return value of a task; 409 if there is none (yet)."""
        return respond(service.result(checked(task_id)))

    def artifact(request: HttpRequest, task_id: str) -> HttpResponseBase:
        """Download the file that a task has made; 404 if its result is not one."""
        found = service.artifact(checked(task_id))
        return streamed(request, found.pieces(), found.headers, found.media_type)

    def follow(request: HttpRequest, task_id: str) -> HttpResponseBase:
        """Stream the changes of a task as server-sent events."""
        first = service.status(checked(task_id))
        last_id = request.headers.get("Last-Event-ID")
        if events.knows_the_end(first, last_id):
            return HttpResponse(status=204)

        def look() -> Status:
            try:
                return service.status(task_id)
            except Exception as error:
                raise problem_of(error) from error

        content = events.stream(streams, look, first, last_id)
        return streamed(request, content, events.HEADERS, events.MEDIA_TYPE)

    def cancel(request: HttpRequest, task_id: str) -> HttpResponse:
        """Cancel a waiting or running task; 409 if its worker's pool cannot end it."""
        return respond(service.cancel(checked(task_id)))

    one = partial(route, CLIENT)
    return [
        path("tasks/<str:task_id>", one(GET=status, DELETE=cancel)),
        path("tasks/<str:task_id>/result", one(GET=result)),
        path("tasks/<str:task_id>/artifact", one(GET=artifact)),
        path("tasks/<str:task_id>/events", one(GET=follow)),
        path("live", live),
    ]


def streamed(
    request: HttpRequest, content: Iterator[Any], headers: dict[str, str], media_type: str
) -> StreamingHttpResponse:
    """Return a response that is sent piece by piece, by a WSGI server or an ASGI server."""
    pieces = in_threads(content) if isinstance(request, ASGIRequest) else content
    return StreamingHttpResponse(pieces, content_type=media_type, headers=headers)


async def in_threads(content: Iterator[T]) -> AsyncIterator[T]:
    """Yield the pieces of an iterator that waits; Django would collect them before it sends any."""
    while (piece := await sync_to_async(one_of)(content)) is not None:
        yield piece


def one_of(content: Iterator[T]) -> T | None:
    """Return the next piece of an iterator, or nothing at its end."""
    return next(content, None)
