"""Results as rows of django-celery-results, which outlive a database that was away."""

from __future__ import annotations

from typing import Any

import django
from celery import states
from django.apps import apps
from django.db import InterfaceError, OperationalError, connection, transaction

if not apps.ready:
    django.setup()  # `celery call` asks for a backend before it imports a task

from django_celery_results.backends import database


class DatabaseBackend(database.DatabaseBackend):  # type: ignore[misc]
    """Try again on a new connection.

    In a worker it does so for as long as it takes (`runtime/worker/checks.py`). Otherwise the
    result of a task that ended in an outage would be lost; and the main process of a worker, which
    writes for those whose process is gone, would keep its broken connection for good.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether another try may help; it cannot within a transaction, which is lost."""
        passes = isinstance(exc, InterfaceError | OperationalError)
        if passes and not connection.in_atomic_block:
            connection.close()
            return True
        return False

    def _store_result(
        self, task_id: str, result: Any, status: str, *args: Any, **kwargs: Any
    ) -> Any:
        """Keep how a task has ended, of which an earlier try may not know.

        A try publishes the next one before it writes that there will be one. The next one may have
        ended by then, and a chord would wait for it for ever.
        """
        if status != states.RETRY:
            return super()._store_result(task_id, result, status, *args, **kwargs)
        with transaction.atomic():
            known = self.TaskModel.objects.select_for_update().filter(task_id=task_id)
            if set(known.values_list("status", flat=True)) & states.READY_STATES:
                return result
            return super()._store_result(task_id, result, status, *args, **kwargs)
