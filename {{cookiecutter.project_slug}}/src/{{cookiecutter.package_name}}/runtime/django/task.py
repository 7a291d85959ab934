"""What Django adds to every task: send it when the transaction is committed, or never.

    with transaction.atomic():
        invoice.save()
        send.delay_on_commit(invoice.pk)

`send.delay(...)` does not wait: a worker may look for a row that is not there yet, or never is.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from celery import Task, states
from celery.exceptions import Ignore
from django.db import InterfaceError, OperationalError, transaction

from .. import context

P = ParamSpec("P")
R = TypeVar("R")

#: Errors of a database that is away, in a failover or locked, and of a deadlock: try again.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (InterfaceError, OperationalError)

#: Header with the id of the job that a task, or the replay of its dead letter, works for.
JOB_HEADER = "x-job"


class DjangoTask(Task[P, R]):
    """A task that can wait for a commit, and whose job can be cancelled.

    Celery's own class of this name returns no id, and takes the context of the moment of the commit
    (https://docs.celeryq.dev/en/stable/django/first-steps-with-django.html).
    """

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> str:
        """Send with these arguments when the transaction is committed, and return the id."""
        return self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(
        self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any
    ) -> str:
        """Send when the transaction is committed, outside of one at once, and return the id.

        The task has the context of this moment.

        Args:
            args: Positional arguments of the task.
            kwargs: Keyword arguments of the task.
            options: Those of `apply_async`.
        """
        task_id: str = options.setdefault("task_id", str(uuid4()))
        transaction.on_commit(
            partial(send, context.current(), self.apply_async, args, kwargs, **options)
        )
        return task_id

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Store a state; a cancelled job ends at its next report of progress.

        Raises:
            Ignore: It was cancelled.
        """
        self.refuse_cancelled()
        super().update_state(*args, **kwargs)

    def refuse_cancelled(self) -> None:
        """Stop if this is a job that was cancelled. A long task may ask now and then.

        Raises:
            Ignore: It was cancelled.
        """
        check(self)


def check(task: Task[Any, Any]) -> None:
    """Stop a task whose job was cancelled; the first time, note that it starts.

    Whoever cancels a job marks its row, and then looks whether the task has started. So at least
    one of the two sees the other.

    Raises:
        Ignore: It was cancelled.
    """
    request: Any = task.request
    if JOB_HEADER not in (request.headers or {}):
        return
    from .models import Job

    if not getattr(request, "has_started", False):
        request.has_started = True
        meta = {"hostname": request.hostname, "pid": os.getpid()}
        if not request.ignore_result:
            task.backend.store_result(request.id, meta, states.STARTED, request=request)
    # The replay of a dead letter is a job of its own, and works for the first one too.
    jobs = [request.headers[JOB_HEADER], request.id]
    if Job.objects.filter(pk__in=jobs, cancelled_at__isnull=False).exists():
        task.backend.mark_as_revoked(request.id, "cancelled", request=request)
        raise Ignore("cancelled")


def send(bound: context.Context, apply_async: Any, *args: Any, **options: Any) -> None:
    """Send with a context."""
    with context.bind(*bound):
        apply_async(*args, **options)
