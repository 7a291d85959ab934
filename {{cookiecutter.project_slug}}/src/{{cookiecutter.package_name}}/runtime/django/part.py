"""Django as a part of the project's app: sending on commit, and jobs that can be cancelled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celery import states
from celery.exceptions import Ignore
from django.db import InterfaceError, OperationalError, transaction

from ..parts import Part
from ..tasks.cancellation import Cancellation

if TYPE_CHECKING:
    from ..app import App

#: Header with the id of the job that a task, or the replay of its dead letter, works for.
JOB_HEADER = "x-job"


class Django(Cancellation, Part):
    """Django's database: transactions, and the rows of jobs."""

    # A database that is away, in a failover or locked, and a deadlock.
    transient_errors = (InterfaceError, OperationalError)

    at_reports = True

    def install(self, app: App) -> None:
        """Let tasks wait for a commit, and look at the rows of their jobs."""
        app.cancellation, app.on_commit = self, transaction.on_commit
        app.autodiscover_tasks()  # the module `tasks` of every app in INSTALLED_APPS

    def check(self, task: Any) -> None:
        """Stop a task whose job was cancelled; the first time, note that it starts.

        Whoever cancels a job marks its row, and then looks whether the task has started. So at
        least one of the two sees the other.

        Raises:
            Ignore: It was cancelled.
        """
        request = task.request
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
