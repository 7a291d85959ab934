"""Settings of results and schedules that are rows in the database of Django."""

from __future__ import annotations

from ..config.results import KeptResults
from ..config.settings import Settings
from ..config.values import Importable, Seconds


class DatabaseResults(KeptResults):
    """Rows of django-celery-results."""

    result_backend: str = f"{__package__}.results.DatabaseBackend"
    # Arguments may be personal data, and a message has them already.
    result_extended: bool = False


class DatabaseBeat(Settings):
    """Rows of django-celery-beat, which the admin edits; run one beat only."""

    beat_scheduler: Importable = f"{__package__}.scheduler:Scheduler"
    # Seconds until beat sees a row that somebody has edited.
    beat_max_loop_interval: Seconds = 5
