"""The waiting messages and the consumers of a queue; RabbitMQ does not let one look at messages."""

from __future__ import annotations

from typing import Any

from kombu import Connection

from ..broker import Depth


def look(connection: Connection, queue: str) -> Depth:
    """Return how many messages wait, and how many workers consume the queue.

    Their age is unknown: looking at a message means taking it and giving it back, and a quorum
    queue counts that as a delivery.
    """
    channel: Any
    with connection.channel() as channel:  # one per queue, because an unknown queue closes it
        try:
            found = channel.queue_declare(queue, passive=True)
        except connection.channel_errors:
            return Depth(0, consumers=0)
        return Depth(found.message_count, consumers=found.consumer_count)
