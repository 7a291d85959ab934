"""A job: a task that somebody outside has asked for."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.db import models, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from .task import JOB_HEADER, Task


class JobManager(models.Manager["Job"]):
    """All jobs."""

    def submit(self, name: str, task: Task[Any, Any], kwargs: dict[str, Any]) -> Job:
        """Return a new job, whose task is sent when the transaction is committed.

        Args:
            name: What the caller calls it.
            task: The task.
            kwargs: Its arguments.

        Raises:
            OperationalError: The broker refuses. The job is cancelled then: should the broker have
                the message nevertheless, its task does not start.
        """
        job = self.model(name=name)
        try:
            with transaction.atomic():
                job.save(force_insert=True)
                task.apply_async_on_commit(
                    kwargs=kwargs,
                    task_id=str(job.pk),
                    headers={JOB_HEADER: str(job.pk)},
                    ignore_result=False,
                )
        except OperationalError:
            job.cancel()
            raise
        return job


class Job(models.Model):
    """One row for each, so that one that waits is told apart from one that never was."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=100, editable=False)
    requested_at = models.DateTimeField(auto_now_add=True, db_index=True)
    cancelled_at = models.DateTimeField(null=True, editable=False)

    objects = JobManager()

    class Meta:
        """The newest first."""

        ordering = ("-requested_at",)

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"

    def cancel(self) -> None:
        """Note that the task is not to start, also after a retry or the end of its worker."""
        type(self).objects.filter(pk=self.pk, cancelled_at=None).update(cancelled_at=timezone.now())
        self.refresh_from_db()
