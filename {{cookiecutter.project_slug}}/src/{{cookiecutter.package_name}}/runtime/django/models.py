"""Jobs, which are tasks that were requested over HTTP or by `Job.objects.submit`; dead letters."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

from celery import Task
from django.db import models, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from kombu.utils.json import dumps, loads

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
        job = self.model(name=name, task=task.name, arguments=dumps(kwargs))
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
    task = models.CharField(max_length=255, default="", db_default="", editable=False)
    # JSON as in messages, so that dates and decimals stay what they are. Like the arguments in a
    # message, they may be personal data; `jobs.clean_up` deletes old jobs.
    arguments = models.TextField(null=True, editable=False)
    requested_at = models.DateTimeField(auto_now_add=True, db_index=True)
    started_at = models.DateTimeField(null=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, editable=False)

    objects = JobManager()

    class Meta:
        """Order jobs by age, the newest first."""

        ordering = ("-requested_at",)
        permissions = (
            ("cancel_job", "Can cancel job"),
            ("run_again_job", "Can run job again"),
        )

    @property
    def kwargs(self) -> dict[str, Any] | None:
        """The arguments of the task; None for a job from before they were kept."""
        found: dict[str, Any] | None = None if self.arguments is None else loads(self.arguments)
        return found

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


class NoRows(models.Manager["DeadLetter"]):
    """A manager without rows, so that `dumpdata` looks for no table."""

    def get_queryset(self) -> models.QuerySet[DeadLetter]:
        """Return nothing."""
        return super().get_queryset().none()


class DeadLetter(models.Model):
    """What the admin needs of a dead letter: permissions, and an id in its log.

    The dead letters themselves are in the store of the app (`letters/store.py`).
    """

    id = models.CharField(primary_key=True, max_length=255)

    objects = NoRows()

    class Meta:
        """Have no table."""

        managed = False
        base_manager_name = "objects"
        default_permissions = ("view",)
        permissions = (
            ("replay_deadletter", "Can replay dead letter"),
            ("discard_deadletter", "Can discard dead letter"),
        )

    def __str__(self) -> str:
        return self.id
