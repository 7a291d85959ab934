"""The connection to the broker: publishers learn of an outage soon, and workers survive it.

Celery gets it from `context.AMQP`, for everything that an app sends and consumes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from kombu import connection
from kombu.exceptions import OperationalError

from .config import machine

#: Seconds between two tries of a worker or beat to reach a broker that is down. kombu's wait grows
#: to 30 (kombu/connection.py, `_ensure_connection`), so work would stop for that long.
LONGEST_WAIT = 5


class Prompt:
    """Mixin with the methods that differ from kombu's connection."""

    def ensure(
        self: Any, obj: Any, fun: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Callable[..., Any]:
        """Let a publisher try again after a disconnection, but not if the broker does not answer.

        It has waited long enough by then. Besides, the message may have arrived, and would then be
        in the queue twice.
        """
        # Raised if the broker does not answer; a broker's library may have its own timeout error.
        timeouts = getattr(self.transport, "timeouts", (TimeoutError,))

        @wraps(fun)
        def once(*args: Any, **kwargs: Any) -> Any:
            try:
                return fun(*args, **kwargs)
            except timeouts as error:
                self.collect()  # or a late answer could be taken for the answer to another message
                raise OperationalError(
                    "the broker did not answer in time, so it may or may not have the message"
                ) from error

        ensured: Callable[..., Any] = super().ensure(obj, once, *args, **kwargs)  # type: ignore[misc]

        def explained(*args: Any, **kwargs: Any) -> Any:
            try:
                return ensured(*args, **kwargs)
            except OperationalError as error:
                if machine.is_meant(error):
                    from .config.not_running import NotRunningError  # which imports click

                    raise NotRunningError from error
                raise

        return explained

    def _connection_factory(self: Any) -> Any:
        """Connect; close what is left of a connection that was lost before.

        kombu would forget it with its socket open (kombu/connection.py, `_connection_factory`).
        """
        if self._connection is not None:
            self.collect()
        return super()._connection_factory()  # type: ignore[misc]


class PooledConnection(Prompt, connection.PooledConnection):
    """A connection of a publisher."""


class ConnectionPool(connection.ConnectionPool):
    """The connections of the publishers of a process."""

    def new(self) -> Any:
        """Return a connection of our class; kombu's pool would use its own."""
        return PooledConnection(self, **dict(self.connection._info(resolve=False)))


class Connection(Prompt, connection.Connection):
    """A connection that does not wait or hang for long."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:
        """Connect for a worker or beat, and wait for a broker that is down."""
        super().ensure_connection(*args, **{"interval_max": LONGEST_WAIT, **kwargs})
        return self

    def drain_events(self: Any, **kwargs: Any) -> Any:
        """Wait for an event.

        Raises:
            ConnectionResetError: The connection was lost before. kombu would connect anew without a
                word (kombu/connection.py, `connection`), and nothing consumes on that connection.
                So a greenlet worker that was cut off while it was full waited for ever: the first
                that learned of it was the greenlet of a task, which could not acknowledge.
        """
        is_open = self._connection is not None and not self._closed
        if is_open and not self.connected:
            raise ConnectionResetError("the connection was lost")
        return super().drain_events(**kwargs)

    def Pool(self, limit: int | None = None, **kwargs: Any) -> ConnectionPool:  # noqa: N802
        """Return a pool of connections like this one."""
        return ConnectionPool(self, limit, **kwargs)
