"""Redis as the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..broker import Broker, Depth, Memory

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection

    from ..letters.store import Store


class Redis(Broker):
    """Redis, with the transport of this package."""

    name = "Redis"
    driver = "redis"
    consumer_steps = (f"{__package__}.lease:VisibilityLease",)
    dead_letter_store = f"{__package__}.dead_letters:DeadLetters"

    def collect(self, app: Celery, store: Store) -> int:
        """Move messages that the transport could not read into a store."""
        from .unreadable import collect

        return collect(app, store)

    def look_at_server(self, connection: Connection, queue: str) -> Depth:
        """Return how many messages wait, and the age of the oldest."""
        from .backlog import look

        return look(connection, queue)

    def memory(self, connection: Connection) -> Memory | None:
        """Return the memory of Redis."""
        if connection.transport.driver_type != self.driver:
            return None
        from .backlog import memory

        return memory(connection)
