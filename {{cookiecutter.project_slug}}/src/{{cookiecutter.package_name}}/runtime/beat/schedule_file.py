"""The scheduler of beat: Celery's own, which remembers its last runs in a file."""

from __future__ import annotations

import dbm
import os
from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler

from ..config.environment import ConfigurationError
from .ticks import Stoppable


class Scheduler(Stoppable, PersistentScheduler):
    """Refuse in one line a file that cannot be kept."""

    def __init__(self, *args: Any, schedule_filename: str, **kwargs: Any) -> None:
        if reason := broken(Path(schedule_filename)):
            raise ConfigurationError(
                f"beat cannot keep its schedule in {schedule_filename} ({reason}): make the folder,"
                " or name another file by CELERY_BEAT_SCHEDULE_FILENAME or --schedule"
            )
        super().__init__(*args, schedule_filename=schedule_filename, **kwargs)


def broken(file: Path) -> str | None:
    """Say why a file cannot be kept, or nothing."""
    if not file.parent.is_dir():
        return "its folder is not there"
    if not os.access(file.parent, os.W_OK | os.X_OK):
        return "its folder cannot be written"
    if file.is_dir():
        return "it is a folder"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return "it cannot be written"
    if file.is_file() and file.stat().st_size and not dbm.whichdb(str(file)):
        # Celery would take it for a corrupted schedule, and delete it (celery/beat.py,
        # `PersistentScheduler.setup_schedule`).
        return "it holds something else"
    return None
