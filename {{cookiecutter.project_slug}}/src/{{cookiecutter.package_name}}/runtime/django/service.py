"""Sending tasks on behalf of HTTP clients; each task is a job with a row in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from celery import Task, states
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connection, transaction
from kombu.utils.json import dumps

from ..letters.letter import DeadLetter
from ..letters.replay import replay
from ..letters.store import Letters
from ..web.problems import Problem
from ..web.servers import Check
from ..web.service import Service
from .models import Job
from .task import JOB_HEADER


def check_database() -> None:
    """Check that the database answers.

    Raises:
        ConnectionError: It does not answer.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        raise ConnectionError(str(error)) from error


#: States of jobs of which nobody knows more: one whose result has expired, and one that has started
#: in a project that keeps no results.
EXPIRED, STARTED_ONCE = "EXPIRED", "STARTED ONCE"


def service_in_use() -> JobService:
    """Return the service that `urls.routes` serves; the admin and the first page use it too.

    Raises:
        ImproperlyConfigured: There is none.
    """
    try:
        return JobService.in_use
    except AttributeError:
        raise ImproperlyConfigured(
            "the admin of jobs needs a service, and the site has none: add"
            " runtime.django.urls.routes(service) to its URLs"
        ) from None


class Seen(NamedTuple):
    """What is known about a job."""

    state: str
    #: What a running task reports: `percent`, `message` and more.
    progress: dict[str, Any] | None = None
    result: Any = None
    error: str = ""
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether the task has ended, as far as anybody knows."""
        return self.state in states.READY_STATES | {EXPIRED, STARTED_ONCE}


class JobService(Service):
    """A service that sends tasks on commit; a row outlives the message and the result."""

    #: See `service_in_use`.
    in_use: ClassVar[JobService]

    def needed(self) -> dict[str, Check]:
        """Return the checks of the servers that a web process needs."""
        return {"database": check_database, **super().needed()}

    def publish(
        self, task: Task[Any, Any], arguments: dict[str, Any], options: dict[str, Any]
    ) -> str:
        """Create a job, publish its task, and return their common id."""
        return str(Job.objects.submit(task.name, task, arguments, **options).pk)

    def replay(self, letters: Letters, letter: DeadLetter, by: str) -> str:
        """Send the task of a dead letter again; if it was a job's, the new task is a job too."""
        if JOB_HEADER not in letter.headers:
            return super().replay(letters, letter, by)
        with transaction.atomic():
            arguments = None if letter.args else dumps(letter.kwargs)
            job = Job.objects.create(name=letter.task, task=letter.task, arguments=arguments)
            return replay(self.app, letters, letter.id, by, str(job.pk))

    def job(self, job_id: str | UUID) -> Job:
        """Return a job.

        Raises:
            Problem: There is none with this id.
        """
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            detail = f"there is no task {job_id}: it was never sent, or its row was deleted"
            raise Problem(404, detail)
        return job

    def stop(self, job: Job) -> None:
        """Prevent the task of a job from starting; a running one goes on."""
        job.cancel()

    def told(self, job: Job) -> dict[str, Any]:
        """Return what is known about a job besides its name; without results, that is little."""
        return {"cancelled_at": job.cancelled_at}

    def seen(self, job: Job) -> Seen:
        """Return what is known about a job; without results, only its row tells something."""
        if job.started_at:
            return Seen(STARTED_ONCE)
        return Seen(states.REVOKED if job.cancelled_at else states.PENDING)

    def after_stop(self, job: Job) -> str:
        """Return what has become of a job that `stop` did not end; nothing if it is cancelled."""
        job.refresh_from_db()
        return "it has started already, and goes on" if job.started_at else ""

    def run_again(self, job: Job) -> Job:
        """Send the task of a job that is over once more, as a new job.

        Raises:
            Problem: The job is not over, or it cannot be repeated.
        """
        arguments, task = job.kwargs, self.app.tasks.get(job.task)
        if arguments is None:
            raise Problem(409, "its arguments are not known")
        if task is None:
            raise Problem(409, f"there is no task {job.task!r} any more")
        if not self.seen(job).is_over:
            raise Problem(409, "it is not over yet")
        return Job.objects.submit(job.name, task, arguments)
