"""Results as rows of django-celery-results, which outlive a database that was away."""

from __future__ import annotations

import django
from django.apps import apps
from django.db import InterfaceError, OperationalError, connection

if not apps.ready:
    django.setup()  # `celery call` asks for a backend before it imports a task

from django_celery_results.backends import database


class DatabaseBackend(database.DatabaseBackend):  # type: ignore[misc]
    """Try again on a new connection.

    In a worker it does so for as long as it takes (checks.py). Without that, the result of a task
    that ended in an outage is lost; and the main process of a worker, which writes for those whose
    process is gone, would keep its broken connection for good.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Whether an error passes; in a transaction it does not, which is undone by then."""
        passes = isinstance(exc, InterfaceError | OperationalError)
        if passes and not connection.in_atomic_block:
            connection.close()
            return True
        return False
