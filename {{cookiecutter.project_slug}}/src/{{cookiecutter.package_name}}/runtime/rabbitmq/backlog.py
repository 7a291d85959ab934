"""The number of waiting messages in a queue; RabbitMQ does not let one look at a message."""

from __future__ import annotations

from typing import Any

from kombu import Connection


def look(connection: Connection, queue: str) -> tuple[int, float | None]:
    """Return how many messages wait.

    Their age is unknown: looking at a message means taking it and giving it back, and a quorum
    queue counts that as a delivery.
    """
    channel: Any
    with connection.channel() as channel:  # one per queue, because an unknown queue closes it
        try:
            return channel.queue_declare(queue, passive=True).message_count, None
        except connection.channel_errors:
            return 0, None
