"""Connections to servers, and checks of whether the servers answer."""

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

#: A function that reaches a server, or raises one of `problems.outages`.
Check = Callable[[], object]

#: Seconds to wait for the answers of workers.
PATIENCE = 0.8

#: Seconds for which an answer of the workers is reused, because each question goes to all of them.
FRESH = 5


@contextmanager
def broker(app: App) -> Iterator[Connection]:
    """Yield an established connection; kombu, left alone, would try for ever to connect."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=0)
        yield connection


def inspect(app: App, connection: Connection, *workers: str) -> Any:
    """Return Celery's `Inspect`, which asks workers, by default all of them."""
    return app.control.inspect(workers or None, timeout=PATIENCE, connection=connection)


def check_broker(app: App) -> None:
    """Connect to the broker."""
    with broker(app):
        pass


def ready(checks: Mapping[str, Check]) -> None:
    """Make sure that this process can serve requests.

    Args:
        checks: The servers that it needs: for each name, a function that reaches the server.

    Raises:
        Problem: A server does not answer.
    """
    missing = [name for name, check in checks.items() if not answers(check)]
    if missing:
        raise away(f"these servers do not answer: {', '.join(missing)}")


def answers(check: Check) -> bool:
    """Whether a server answers."""
    try:
        check()
    except problems.outages() as error:
        logger.warning("A server is unreachable: %s", error)
        return False
    return True


class Workers:
    """A check of whether a worker answers, made at most every few seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = float("-inf")
        self._answer = False

    def check(self, app: App) -> None:
        """Make sure that a worker answers.

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
