"""The scheduler of beat whose schedule is rows of django-celery-beat, which the admin edits."""

from __future__ import annotations

from typing import Any

from celery.utils.log import get_logger
from django.db import DatabaseError, InterfaceError
from django_celery_beat.schedulers import DatabaseScheduler

from ..beat.ticks import Stoppable

logger = get_logger(__name__)


class Scheduler(Stoppable, DatabaseScheduler):  # type: ignore[misc]
    """Go on with the rows that were read last while the database is away.

    django-celery-beat reads all rows every five minutes, and ends with a traceback if it cannot.
    """

    def setup_schedule(self) -> None:
        """Leave the rows as they are: `setup_schedules` writes what the code says.

        django-celery-beat would overwrite them with `beat_schedule` at each start.
        """
        self.install_default_entries(self.schedule)

    def all_as_schedule(self) -> dict[str, Any]:
        """Return the entries."""
        try:
            entries: dict[str, Any] = super().all_as_schedule()
        except (DatabaseError, InterfaceError) as error:
            logger.error("Schedules cannot be read, those known go on: %s", error)
            self._last_timestamp = None
            entries = self._schedule or {}
        return entries
