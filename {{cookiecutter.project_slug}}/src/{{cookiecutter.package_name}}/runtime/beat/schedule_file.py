"""Beat's scheduler that stores its last runs in a file: Celery's own, with clear errors."""

from __future__ import annotations

import dbm
import os
from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler

from ..config.environment import ConfigurationError
from .ticks import Stoppable


class Scheduler(Stoppable, PersistentScheduler):
    """A scheduler that refuses an unusable file with one line."""

    def __init__(self, *args: Any, schedule_filename: str, **kwargs: Any) -> None:
        if reason := broken(Path(schedule_filename)):
            raise ConfigurationError(
                f"beat cannot keep its schedule in {schedule_filename} ({reason}): give the path of"
                " another file with CELERY_BEAT_SCHEDULE_FILENAME or --schedule"
            )
        super().__init__(*args, schedule_filename=schedule_filename, **kwargs)


def broken(file: Path) -> str | None:
    """Return why a file cannot be used, or None."""
    if not file.parent.is_dir():
        return "its folder does not exist"
    if not os.access(file.parent, os.W_OK | os.X_OK):
        return "its folder is not writable"
    if file.is_dir():
        return "it is a folder"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return "it is not writable"
    if file.is_file() and file.stat().st_size and not dbm.whichdb(str(file)):
        # Celery would take it for a corrupted schedule and delete it (celery/beat.py,
        # `PersistentScheduler.setup_schedule`).
        return "it is not a schedule of beat"
    return None
