"""The app with a slow task, for tests that stop a worker in the middle: `celery -A slow worker`."""

import os
import time

from celery.utils.log import get_task_logger

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.runtime.tasks.base import (
    BaseTask,
)

logger = get_task_logger(__name__)


@app.task(base=BaseTask, name="tests.slow")
def slow(seconds: float) -> None:
    logger.info("slow started in %d", os.getpid())
    time.sleep(seconds)
    logger.info("slow ended")
