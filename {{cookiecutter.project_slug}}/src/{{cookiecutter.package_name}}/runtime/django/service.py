"""Sending tasks on behalf of HTTP clients; each task is a job with a row in the database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task
from django.db import DatabaseError, InterfaceError, connection, transaction

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


class JobService(Service):
    """A service that sends tasks on commit; a row outlives the message and the result."""

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
            job = Job.objects.create(name=letter.task)
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
