"""Jobs: tasks that were requested over HTTP, or in code by `Job.objects.submit`."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

from celery import Task
from django.db import models, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from .. import context
from ..tasks.base import send_in_context
from .task import JOB_HEADER


class JobManager(models.Manager["Job"]):
    """All jobs."""

    def submit(
        self, name: str, task: Task[Any, Any], kwargs: dict[str, Any], **options: Any
    ) -> Job:
        """Create a job; its task is sent when the transaction is committed.

        Args:
            name: A name for the job.
            task: The task.
            kwargs: Its arguments.
            options: Options of `apply_async`.

        Raises:
            OperationalError: The broker cannot be reached. The job is then cancelled, so that its
                task does not start even if the broker did get the message.
        """
        job = self.model(name=name)
        options = {"ignore_result": False, **options, "task_id": str(job.pk)}
        options["headers"] = {**(options.get("headers") or {}), JOB_HEADER: str(job.pk)}
        bound = context.current()
        try:
            with transaction.atomic():
                job.save(force_insert=True)
                send = partial(task.apply_async, kwargs=kwargs, **options)
                transaction.on_commit(partial(send_in_context, bound, send))
        except OperationalError:
            job.cancel()
            raise
        return job


class Job(models.Model):
    """A job; its row outlives the message and the result of its task."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=100, editable=False)
    requested_at = models.DateTimeField(auto_now_add=True, db_index=True)
    cancelled_at = models.DateTimeField(null=True, editable=False)

    objects = JobManager()

    class Meta:
        """Order jobs by age, the newest first."""

        ordering = ("-requested_at",)

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"

    def cancel(self) -> None:
        """Record that the task must not start, not even again after its worker was lost."""
        type(self).objects.filter(pk=self.pk, cancelled_at=None).update(cancelled_at=timezone.now())
        self.refresh_from_db()

    def resume(self) -> None:
        """Undo a cancellation, because the task runs and cannot be ended."""
        self.cancelled_at = None
        self.save(update_fields=["cancelled_at"])
