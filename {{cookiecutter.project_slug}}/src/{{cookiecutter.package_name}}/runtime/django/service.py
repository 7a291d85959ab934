"""Tasks that clients send over HTTP: each is a job, which is a row."""

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
    """Reach the database.

    Raises:
        ConnectionError: It does not answer.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        raise ConnectionError(str(error)) from error


class JobService(Service):
    """Send tasks when the transaction is committed, with a row that outlives message and result."""

    def needed(self) -> dict[str, Check]:
        """Return what a web process cannot work without."""
        return {"database": check_database, **super().needed()}

    def publish(
        self, task: Task[Any, Any], arguments: dict[str, Any], options: dict[str, Any]
    ) -> str:
        """Publish a task whose job is a row, and return the id of both."""
        return str(Job.objects.submit(task.name, task, arguments, **options).pk)

    def replay(self, letters: Letters, letter: DeadLetter, by: str) -> str:
        """Send the task of a dead letter again; that of a job is a job as well."""
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
        """Let the task of a job never start; one that runs is not changed."""
        job.cancel()

    def told(self, job: Job) -> dict[str, Any]:
        """Return what is known of a job beside its name; without results it is not much."""
        return {"cancelled_at": job.cancelled_at}
