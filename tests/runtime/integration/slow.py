"""The app with a slow task, for tests that stop a worker in the middle: `celery -A slow worker`."""

import os
import time

from celery.utils.log import get_task_logger

from my_celery_project.celery import app
from my_celery_project.runtime.tasks.base import (
    BaseTask,
)

logger = get_task_logger(__name__)


@app.task(base=BaseTask, name="tests.slow")
def slow(seconds: float) -> None:
    logger.info("slow started in %d", os.getpid())
    time.sleep(seconds)
    logger.info("slow ended")
