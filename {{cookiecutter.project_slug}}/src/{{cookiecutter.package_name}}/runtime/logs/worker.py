"""The bootstep by which a worker writes one line for each task, and nothing that is no line."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.app import trace
from celery.signals import task_received, worker_shutting_down
from celery.utils.log import get_logger

from . import setup
from .tasks import TaskLines
from .tasks import logger as task_logger

logger = get_logger(__name__)


class Lines(bootsteps.Step):
    """A bootstep that writes a line for each task that has ended."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        lines = TaskLines(str(parent.hostname))
        parent.app.observe(lines)
        if task_logger.isEnabledFor(logging.DEBUG):
            task_received.connect(lines.received, weak=False)
        trace.logger.addFilter(is_told_only_here)
        if setup.writes_json(parent.app.settings.log_format):
            parent.quiet = True  # no banner
            worker_shutting_down.connect(tell, weak=False)


def is_told_only_here(record: Any) -> bool:
    """Return whether no line of ours says the same; Celery's about ends of tasks have `data`."""
    return not hasattr(record, "data")


def tell(sender: str, sig: str, how: str, **_: Any) -> None:
    """Write that the worker stops; a handler of the signal `worker_shutting_down`."""
    logger.info("%s stops on %s: %s shutdown", sender, sig, how.lower())
