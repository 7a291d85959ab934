"""Redis as the broker."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from ..broker import Broker
from ..budget import Lease

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection

    from ..letters.store import Store


class Redis(Broker):
    """A Redis, by the transport of this package."""

    name = "Redis"
    driver = "redis"
    consumer_steps = (f"{__package__}.lease:VisibilityLease",)

    def dead_letters(self) -> type[Store]:
        """Return the class of stores for dead letters."""
        from .dead_letters import DeadLetters

        return DeadLetters

    def lease(self, conf: Any) -> Lease:
        """Return the visibility timeout; in memory and in files there is none."""
        return Lease(
            conf.broker_transport_options.get("visibility_timeout", inf),
            "visibility timeout",
            "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT",
        )

    def collect(self, app: Celery, store: Store) -> int:
        """Move what the transport could not read."""
        from .unreadable import collect

        return collect(app, store)

    def look_at_server(self, connection: Connection, queue: str) -> tuple[int, float | None]:
        """Return how many messages wait, and the age of the oldest."""
        from .backlog import look

        return look(connection, queue)
