"""The result backend of django-celery-results, which also survives an outage of the database."""

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
    """A result backend that tries again on a new connection.

    A worker tries for as long as `runtime/worker/checks.py` says. Otherwise the result of a task
    that ended during an outage would be lost, and the main process of a worker, which writes for
    tasks whose process is gone, would keep its broken connection for good.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether another try may help; inside a transaction, which is lost, it cannot."""
        passes = isinstance(exc, InterfaceError | OperationalError)
        if passes and not connection.in_atomic_block:
            connection.close()
            return True
        return False

    def _store_result(
        self, task_id: str, result: Any, status: str, *args: Any, **kwargs: Any
    ) -> Any:
        """Do not let a late `RETRY` overwrite the final state of a task.

        A run that retries publishes the next run before it writes `RETRY`. The next run may have
        ended by then, and a chord would wait for its final state for ever.
        """
        if status != states.RETRY:
            return super()._store_result(task_id, result, status, *args, **kwargs)
        rows = self.TaskModel.objects.select_for_update()
        with transaction.atomic():
            # A row that does not exist yet cannot be locked, and the next run could insert it.
            known, _ = rows.get_or_create(task_id=task_id)
            if known.status in states.READY_STATES:
                return result
            return super()._store_result(task_id, result, status, *args, **kwargs)
