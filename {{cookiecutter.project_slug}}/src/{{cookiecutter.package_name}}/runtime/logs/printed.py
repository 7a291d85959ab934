"""What tasks and libraries print, as lines of the log."""

from __future__ import annotations

import logging
import sys
from threading import local
from typing import Any

from celery.utils.log import LoggingProxy, get_logger

#: Characters of a line that are kept while its end has not been printed.
LONGEST = 65536


class Printed(LoggingProxy):
    """A stream that gives a logger what was printed when its line ends, separately for each thread.

    Celery's own makes a line of each part that `print` writes.
    """

    def __init__(self, logger: logging.Logger, level: int) -> None:
        super().__init__(logger, level)
        self.begun = local()

    def write(self, data: Any) -> int:  # type: ignore[override]  # what its stub forgets
        """Take text; return its length."""
        text = getattr(self.begun, "text", "") + str(data)
        is_whole = text.endswith("\n") or len(text) > LONGEST
        self.begun.text = "" if is_whole else text
        if is_whole:
            super().write(text)
        return len(str(data))

    def end_line(self) -> None:
        """Give the logger a line that has begun.

        It is not `flush`, which Python calls when a process ends and gevent is already gone.
        """
        text, self.begun.text = getattr(self.begun, "text", ""), ""
        if text:
            super().write(text)


def redirect() -> None:
    """Let what this process and its children print be lines of the log."""
    logger = get_logger("celery.redirected")
    sys.stdout, sys.stderr = Printed(logger, logging.INFO), Printed(logger, logging.WARNING)


def end_line(**_: Any) -> None:
    """Give the logger what a task has printed without the end of a line; of `task_postrun`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Printed):
            stream.end_line()
