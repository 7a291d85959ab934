"""Proof of life: when this stops, beat, the broker or the workers have stopped."""

from celery.utils.log import get_task_logger

from ..celery import app
from ..runtime.tasks.base import BaseTask

logger = get_task_logger(__name__)


@app.task(bind=True, name="heartbeat.beat")
def beat(self: BaseTask) -> str:
    """Log a line and return the worker that wrote it. Watch for its absence."""
    worker = str(self.request.hostname)
    logger.info("heartbeat from %s", worker)
    return worker
