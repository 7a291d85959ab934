"""The waiting messages and the consumers of a queue, and whether RabbitMQ takes messages.

RabbitMQ does not let one look at messages.
"""

from __future__ import annotations

from typing import Any, NoReturn

from kombu import Connection

from ..broker import Depth

#: The routing key of messages that go to no queue, and the seconds in which RabbitMQ confirms one.
NOWHERE = "celery.exporter.nowhere"
CONFIRM_TIMEOUT = 2.5


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


class BlockedError(Exception):
    """RabbitMQ says that it takes no messages."""


def refuse(reason: str) -> NoReturn:
    """Raise an error, when RabbitMQ says so."""
    raise BlockedError(reason)


def takes_messages(connection: Connection) -> bool:
    """Return whether RabbitMQ takes messages.

    It confirms messages that go to no queue, and drops them. While an alarm about memory or the
    disk is on, it still takes the first message of a connection, then says that it is blocked, and
    reads no more of it (https://www.rabbitmq.com/docs/connection-blocked). So the probe has a
    connection of its own, and leaves without a farewell that nobody would answer.
    """
    usual: Any = connection.transport_options
    options = {**usual, "confirm_publish": True, "on_blocked": refuse}
    probe = connection.clone(transport_options=options)
    try:
        producer = probe.Producer()
        for _ in range(2):
            producer.publish("", routing_key=NOWHERE, confirm_timeout=CONFIRM_TIMEOUT)
    except (BlockedError, TimeoutError):
        return False
    finally:
        probe.collect()
    return True
