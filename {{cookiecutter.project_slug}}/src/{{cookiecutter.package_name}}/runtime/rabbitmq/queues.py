"""Queues of RabbitMQ, and the priorities inside them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from kombu import Exchange, Queue

#: The exchange and the queue for messages that RabbitMQ itself dead-letters.
DEAD_LETTERS = "dead-letters"

#: How often a message is delivered before it is dead-lettered. The limit is high, because it also
#: counts messages that a lost connection gave back before they were started.
DELIVERY_LIMIT = 20

#: A topic exchange, because delayed messages cannot pass a direct one
#: (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html).
EXCHANGE = Exchange("tasks", type="topic")


class Priority(IntEnum):
    """Priorities inside a queue. On RabbitMQ, the highest number comes first.

    Use them seldom; urgent tasks should have a queue of their own. A quorum queue has two levels (5
    and above is high), and none on RabbitMQ 3
    (https://www.rabbitmq.com/docs/quorum-queues#priorities).
    """

    HIGH = 9
    NORMAL = 4
    LOW = 1


def declaration(name: str, classic: bool = False) -> Queue:
    """Return a queue with the arguments that it is declared with.

    Args:
        name: The name of the queue.
        classic: Whether it is a classic queue, which has ten priorities, exists on one node only
            and has no delivery limit. The kind of an existing queue cannot be changed: use a new
            name, or delete the queue first.
    """
    options: dict[str, Any] = {"max_priority": 10} if classic else {}
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        # Keep a message until the dead-letter queue has it; this requires reject-publish.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    if classic:
        arguments = {"x-queue-type": "classic"}
    arguments["x-dead-letter-exchange"] = DEAD_LETTERS
    return Queue(str(name), EXCHANGE, str(name), queue_arguments=arguments, **options)
