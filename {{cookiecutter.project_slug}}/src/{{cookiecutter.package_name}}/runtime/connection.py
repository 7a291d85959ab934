"""The connection to the broker: a publisher hears of an outage soon, a worker outlives it.

Celery takes it from `context.AMQP`, for everything that an app sends and consumes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from kombu import connection
from kombu.exceptions import OperationalError

#: Seconds between two tries of a worker or beat to reach a broker that is down. kombu's wait grows
#: to 30 (kombu/connection.py, `_ensure_connection`), so work would stand still for that long.
LONGEST_WAIT = 5


class Prompt:
    """The part of a connection that differs from kombu's."""

    def ensure(
        self: Any, obj: Any, fun: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Callable[..., Any]:
        """Let a publisher try again when it was disconnected, but not when nobody answers.

        It has waited long enough by then. And nobody knows whether the message has arrived: it
        would be there twice.
        """
        # What is raised when nobody answers; the library of a broker may have its own.
        timeouts = getattr(self.transport, "timeouts", (TimeoutError,))

        @wraps(fun)
        def once(*args: Any, **kwargs: Any) -> Any:
            try:
                return fun(*args, **kwargs)
            except timeouts as error:
                self.collect()  # a late answer must not be taken for that to another message
                raise OperationalError(
                    "the broker did not answer in time: it may or may not have the message"
                ) from error

        ensured: Callable[..., Any] = super().ensure(obj, once, *args, **kwargs)  # type: ignore[misc]
        return ensured


class PooledConnection(Prompt, connection.PooledConnection):
    """A connection of a publisher."""


class ConnectionPool(connection.ConnectionPool):
    """The connections of the publishers of a process."""

    def new(self) -> Any:
        """Return a connection; kombu's pool makes none of our class."""
        return PooledConnection(self, **dict(self.connection._info(resolve=False)))


class Connection(Prompt, connection.Connection):
    """A connection that neither waits nor hangs for long."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:
        """Connect, as workers and beat do, and wait for a broker that is down."""
        super().ensure_connection(*args, **{"interval_max": LONGEST_WAIT, **kwargs})
        return self

    def Pool(self, limit: int | None = None, **kwargs: Any) -> ConnectionPool:  # noqa: N802
        """Return a pool of connections like this one."""
        return ConnectionPool(self, limit, **kwargs)
