"""Settings of results and schedules in Django's database."""

from __future__ import annotations

from ..config.results import KeptResults
from ..config.settings import Settings
from ..config.values import Importable, Seconds


class DatabaseResults(KeptResults):
    """Results in the tables of django-celery-results."""

    result_backend: str = f"{__package__}.results.DatabaseBackend"
    # Do not store arguments: they may be personal data, and the message holds them already.
    result_extended: bool = False


class DatabaseBeat(Settings):
    """Schedules in the tables of django-celery-beat, edited in the admin; run only one beat."""

    beat_scheduler: Importable = f"{__package__}.scheduler:Scheduler"
    # Seconds until beat sees an edited row.
    beat_max_loop_interval: Seconds = 5
