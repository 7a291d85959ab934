"""What Django adds to every task: transient errors of the database, and its job.

    with transaction.atomic():
        invoice.save()
        send.delay_on_commit(invoice.pk)

`send.delay(...)` does not wait for the commit, so a worker may look for a row that is not there
yet, or never will be.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Task, states
from celery.exceptions import Ignore
from django.db import InterfaceError, OperationalError
from django.utils import timezone

#: Errors of a database that is unreachable, failing over or locked, and of a deadlock: try again.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (InterfaceError, OperationalError)

#: Header with the id of the job that a task, or the replay of its dead letter, belongs to.
JOB_HEADER = "x-job"


def check(task: Task[Any, Any]) -> None:
    """Stop a task whose job was cancelled; otherwise record its first start.

    Whoever cancels a job marks its row and then looks whether the task has started. So at least one
    of the two sees the other.

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
        fresh = Job.objects.filter(pk=request.id, started_at=None, cancelled_at=None)
        fresh.update(started_at=timezone.now())
    # The replay of a dead letter is a job of its own, and also belongs to the first job.
    jobs = [request.headers[JOB_HEADER], request.id]
    if Job.objects.filter(pk__in=jobs, cancelled_at__isnull=False).exists():
        task.backend.mark_as_revoked(request.id, "cancelled", request=request)
        raise Ignore("cancelled")
