"""The Django part of the project's app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from ..parts import Part
from ..tasks.cancellation import Cancellation
from .task import TRANSIENT_ERRORS, check

if TYPE_CHECKING:
    from ..app import App


class Django(Part, Cancellation):
    """A part that sends tasks on commit, and stops tasks whose jobs were cancelled."""

    transient_errors = TRANSIENT_ERRORS
    at_reports = True

    def checks(self) -> Mapping[str, Callable[[], object]]:
        """Return the check of whether the database answers."""
        return {"database": check_database}

    def install(self, app: App) -> None:
        """Use Django's transactions, and register as the app's cancellation."""
        app.cancellation, app.on_commit = self, transaction.on_commit
        app.autodiscover_tasks()  # the module `tasks` of every app in INSTALLED_APPS

    def check(self, task: Any) -> None:
        """Stop a task whose job was cancelled.

        Raises:
            Ignore: The job was cancelled.
        """
        check(task)


def check_database() -> None:
    """Check the database on a new connection, since nothing renews that of a mere thread."""
    try:
        connection.ensure_connection()
    finally:
        connection.close()
