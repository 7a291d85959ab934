"""Housekeeping, started by the schedule."""

from __future__ import annotations

import shutil
from datetime import timedelta

from celery.utils.log import get_task_logger

from ..artifacts import artifacts
from ..celery import app
from ..queues import Priority, QueueName
from ..runtime.errors import PermanentError
from ..settings import settings

logger = get_task_logger(__name__)


# Not logged as an error at every run: its dead letter is logged once.
@app.task(
    name="maintenance.check_disk",
    throws=(PermanentError,),
    queue=QueueName.BULK,
    priority=Priority.LOW,
)
def check_disk(path: str = "/") -> float:
    """Return the percentage of the disk that is free.

    Raises:
        PermanentError: It is less than `APP_MIN_FREE_DISK_PERCENT`.
    """
    usage = shutil.disk_usage(path)
    free = round(100 * usage.free / usage.total, 1)
    if free < settings().min_free_disk_percent:
        raise PermanentError(f"only {free} % of the disk at {path} is free")
    return free


@app.task(name="maintenance.purge_artifacts", queue=QueueName.BULK, priority=Priority.LOW)
def purge_artifacts(older_than_days: float) -> int:
    """Delete old artifacts, and return how many there were."""
    purged = artifacts.purge(timedelta(days=older_than_days))
    logger.info("Purged %d artifacts", purged)
    return purged
