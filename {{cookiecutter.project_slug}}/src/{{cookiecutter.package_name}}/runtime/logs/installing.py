"""What every process does, also one that only publishes: it must import little."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from celery.signals import setup_logging

#: The attribute of a record with the fields that a call has passed.
FIELDS = "logged_fields"

#: What formatters write into records.
WRITTEN = ("message", "asctime")


class Logger(logging.Logger):
    """A logger of the standard library that takes any `extra`.

    The library raises a `KeyError` if a name in it is one that records have, such as `name` or
    `message`, and so would fail the task (logging/__init__.py, `makeRecord`).
    """

    def makeRecord(  # noqa: N802
        self,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        extra: Mapping[str, object] | None = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        """Return a record that keeps `extra` apart, and has those attributes that are free."""
        record = super().makeRecord(name, level, fn, lno, msg, args, exc_info, func, None, sinfo)
        if extra:
            taken = vars(record).keys() | WRITTEN
            vars(record).update({key: value for key, value in extra.items() if key not in taken})
            vars(record)[FIELDS] = extra
        return record


@cache
def install() -> None:
    """Make the loggers of this process safe, and let Celery's commands configure them."""
    logging.setLoggerClass(Logger)
    setup_logging.connect(set_up, weak=False)


def set_up(**options: Any) -> None:
    """Configure the log of a worker or of beat; a handler of the signal `setup_logging`."""
    from . import setup  # with structlog, which a mere publisher does not need

    setup.for_celery(**options)
