"""Connections to the servers, and whether they answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger
from kombu import Connection

from . import problems
from .problems import away

if TYPE_CHECKING:
    from ..app import App

logger = get_logger(__name__)

#: Reaches a server, or raises one of `problems.OUTAGES`.
Check = Callable[[], object]

#: Seconds to wait for the answers of workers.
PATIENCE = 0.8

#: Seconds for which an answer of workers holds: a question goes to all of them.
FRESH = 5


@contextmanager
def broker(app: App) -> Iterator[Connection]:
    """Yield a connection that is there; kombu would try for ever to make one of its own accord."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=0)
        yield connection


def inspect(app: App, connection: Connection, *workers: str) -> Any:
    """Return what asks workers, by default all of them."""
    return app.control.inspect(workers or None, timeout=PATIENCE, connection=connection)


def check_broker(app: App) -> None:
    """Reach the broker."""
    with broker(app):
        pass


def ready(checks: Mapping[str, Check]) -> None:
    """Make sure that this process can serve requests.

    Args:
        checks: What it cannot work without: the name of each server, and what reaches it.

    Raises:
        Problem: A server is away.
    """
    missing = [name for name, check in checks.items() if not answers(check)]
    if missing:
        raise away(f"no answer from: {', '.join(missing)}")


def answers(check: Check) -> bool:
    """Whether a server answers."""
    try:
        check()
    except problems.OUTAGES as error:
        logger.warning("A server is away: %s", error)
        return False
    return True


class Workers:
    """Whether a worker answers, asked at most every few seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = float("-inf")
        self._answer = False

    def check(self, app: App) -> None:
        """Make sure that tasks are run.

        Raises:
            Problem: No worker answers.
        """
        with self._lock:
            if time.monotonic() - self._asked > FRESH:
                self._answer = self.ask(app)
                self._asked = time.monotonic()
            if not self._answer:
                raise away("no worker answers")

    def ask(self, app: App) -> bool:
        """Wait for the first worker that answers."""
        with broker(app) as connection:
            answers = app.control.ping(timeout=PATIENCE, limit=1, connection=connection)
        return bool(answers)


workers = Workers()
