"""Connections to servers, and checks of whether the servers answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger
from kombu import Connection
from kombu.utils.imports import symbol_by_name

from . import bodies, problems
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


def ready(checks: Mapping[str, Check]) -> bodies.Readiness:
    """Make sure that this process can serve requests.

    Args:
        checks: The servers that it needs: for each name, a function that reaches the server.

    Raises:
        Problem: A server does not answer.
    """
    times = {name: seconds_of(check) for name, check in checks.items()}
    missing = [name for name, seconds in times.items() if seconds is None]
    if missing:
        raise away(f"these servers do not answer: {', '.join(missing)}")
    return bodies.Readiness(
        status="ok",
        servers=[
            bodies.Server(name=name, seconds=round(seconds or 0, 6))
            for name, seconds in times.items()
        ],
    )


def seconds_of(check: Check) -> float | None:
    """Return how long the answer of a server took, or None if there was none."""
    began = time.perf_counter()
    try:
        check()
    except problems.outages() as error:
        logger.warning("A server is unreachable: %s", error)
        return None
    return time.perf_counter() - began


class Workers:
    """A check of whether workers answer, made at most every few seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = float("-inf")
        self._answer: bodies.CeleryHealth | None = None

    def check(self, app: App) -> bodies.CeleryHealth:
        """Make sure that a worker answers, and return what is known of queues and beat.

        Raises:
            Problem: No worker answers.
        """
        with self._lock:
            if time.monotonic() - self._asked > FRESH:
                self._answer = self.ask(app)
                self._asked = time.monotonic()
            if self._answer is None:
                raise away("no worker answers")
            return self._answer

    def ask(self, app: App) -> bodies.CeleryHealth | None:
        """Ask workers for their queues, and the broker for what waits in each."""
        with broker(app) as connection:
            answers = inspect(app, connection).active_queues()
            if not answers:
                return None
            consumed = Counter(
                queue["name"] for queues in answers.values() for queue in queues or []
            )
            queues = [
                bodies.ServedQueue(
                    name=name,
                    workers=consumed[name],
                    messages=app.broker.look(connection, name).messages,
                )
                for name in app.amqp.queues
            ]
        return bodies.CeleryHealth(status="ok", queues=queues, beat_seconds=since_tick(app))


def since_tick(app: App) -> float | None:
    """Return the seconds since beat has looked at its schedule, if that is known."""
    if not app.notices_place:
        return None
    last = symbol_by_name(app.notices_place)().last_tick()
    return None if last is None else round(max(0.0, time.time() - last), 1)


workers = Workers()
