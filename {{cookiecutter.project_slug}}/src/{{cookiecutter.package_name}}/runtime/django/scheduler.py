"""Beat's scheduler for schedules in Django's database (django-celery-beat), edited in the admin."""

from __future__ import annotations

from typing import Any

from celery.utils.log import get_logger
from django.db import DatabaseError, InterfaceError
from django_celery_beat.schedulers import DatabaseScheduler

from ..beat.ticks import Stoppable

logger = get_logger(__name__)


class Scheduler(Stoppable, DatabaseScheduler):  # type: ignore[misc]
    """A scheduler that goes on with the rows it read last while the database is unreachable.

    django-celery-beat reads all rows every five minutes and ends with a traceback if it cannot.
    """

    def setup_schedule(self) -> None:
        """Leave the rows unchanged, because `setup_schedules` writes the schedule in the code.

        django-celery-beat would overwrite them with `beat_schedule` at each start.
        """
        self.install_default_entries(self.schedule)

    def all_as_schedule(self) -> dict[str, Any]:
        """Return the entries."""
        try:
            entries: dict[str, Any] = super().all_as_schedule()
        except (DatabaseError, InterfaceError) as error:
            logger.error("Schedules cannot be read, going on with the last known ones: %s", error)
            self._last_timestamp = None
            entries = self._schedule or {}
        return entries
