"""A heartbeat of the whole system: if it stops, beat, the broker or the workers have stopped."""

from celery.utils.log import get_task_logger

from ..celery import app
from ..runtime.tasks.base import BaseTask

logger = get_task_logger(__name__)


@app.task(bind=True, name="heartbeat.beat")
def beat(self: BaseTask) -> str:
    """Log a line, and return the name of the worker. Raise an alarm when the line is missing."""
    worker = str(self.request.hostname)
    logger.info("heartbeat from %s", worker)
    return worker
