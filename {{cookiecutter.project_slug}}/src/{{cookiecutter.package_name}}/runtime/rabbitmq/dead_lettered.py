"""RabbitMQ's own dead letters: messages that were delivered too often, rejected, or expired.

They are moved into our store, not only read: a quorum queue counts each time a message is taken and
given back, and RabbitMQ 4 drops a message after 20 times.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.utils.log import get_logger
from kombu import Queue

from ..letters.letter import Reason
from ..letters.messages import of_message
from ..letters.store import Store
from . import topology
from .queues import DEAD_LETTERS

logger = get_logger(__name__)

REASONS = {
    "delivery_limit": Reason.DELIVERY_LIMIT,
    "expired": Reason.EXPIRED,
    "rejected": Reason.REJECTED,
}


def collect(app: Celery, store: Store) -> int:
    """Move all of them into a store, and return how many there were.

    A task that expired is not kept: its sender asked for that by `expires`.
    """
    collected = 0
    with app.connection_for_write() as connection:
        if connection.transport.driver_type != "amqp":
            return 0
        topology.declare(connection, app.conf.task_queues)
        with connection.channel() as channel:
            queue = Queue(DEAD_LETTERS)(channel)
            while message := queue.get(no_ack=False):
                collected += keep(message, store)
                message.ack()
    return collected


def keep(message: Any, store: Store) -> bool:
    """Store a message unless it has expired; return whether it was stored."""
    deaths = (message.headers or {}).get("x-death") or [{}]
    cause = str(deaths[0].get("reason", ""))
    if cause == "expired" and (message.headers or {}).get("expires"):
        logger.info("Dropped task %s, which expired", message.headers.get("id"))
        return False
    store.add(of_message(message, REASONS.get(cause, cause), text="dead-lettered by RabbitMQ"))
    return True
