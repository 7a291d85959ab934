"""Connections to the servers, and whether they answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from celery.utils.log import get_logger
from kombu import Connection

from ..celery import app
{% if cookiecutter.__sql %}
from ..runtime.sql import database
{% endif %}
from . import problems
from .problems import away

logger = get_logger(__name__)

#: Seconds to wait for the answers of workers.
PATIENCE = 0.8

#: Seconds for which an answer of workers holds: a question goes to all of them.
FRESH = 5


@contextmanager
def broker() -> Iterator[Connection]:
    """Yield a connection that is there; kombu would try for ever to make one of its own accord."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=0)
        yield connection


def inspect(connection: Connection, *workers: str) -> Any:
    """Return what asks workers, by default all of them."""
    return app.control.inspect(workers or None, timeout=PATIENCE, connection=connection)


def check_broker() -> None:
    """Reach the broker."""
    with broker():
        pass
{% if cookiecutter.__results %}


def check_results() -> None:
    """Read from the store of results."""
    app.backend.get_task_meta("health", cache=False)
{% endif %}


#: What a web process cannot work without.
CHECKS: dict[str, Callable[[], None]] = {
    "broker": check_broker,
{% if cookiecutter.__sql %}
    "database": database.check,
{% endif %}
{% if cookiecutter.__results %}
    "results": check_results,
{% endif %}
}


def ready() -> None:
    """Make sure that this process can serve requests.

    Raises:
        Problem: A server is away.
    """
    missing = [name for name, check in CHECKS.items() if not answers(check)]
    if missing:
        raise away(f"no answer from: {', '.join(missing)}")


def answers(check: Callable[[], None]) -> bool:
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

    def check(self) -> None:
        """Make sure that tasks are run.

        Raises:
            Problem: No worker answers.
        """
        with self._lock:
            if time.monotonic() - self._asked > FRESH:
                self._answer = self.ask()
                self._asked = time.monotonic()
            if not self._answer:
                raise away("no worker answers")

    def ask(self) -> bool:
        """Wait for the first worker that answers."""
        with broker() as connection:
            answers = app.control.ping(timeout=PATIENCE, limit=1, connection=connection)
        return bool(answers)


workers = Workers()
