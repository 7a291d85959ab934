"""Queues of RabbitMQ, and the priorities inside them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from kombu import Exchange, Queue

#: The exchange and the queue to which RabbitMQ itself dead-letters.
DEAD_LETTERS = "dead-letters"

#: Deliveries before a message is dead-lettered. It is high because it also counts messages that a
#: lost connection gave back before they were started.
DELIVERY_LIMIT = 20

#: A topic, since delayed messages cannot pass a direct exchange
#: (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html).
EXCHANGE = Exchange("tasks", type="topic")


class Priority(IntEnum):
    """Priority inside a queue. On RabbitMQ the highest number comes first.

    Use it seldom: urgency is a queue. A quorum queue knows two levels, 5 and above is high, and
    RabbitMQ 3 none (https://www.rabbitmq.com/docs/quorum-queues#priorities).
    """

    HIGH = 9
    NORMAL = 4
    LOW = 1


def declaration(name: str, classic: bool = False) -> Queue:
    """Return a queue as RabbitMQ must declare it.

    Args:
        name: Its name.
        classic: Whether it is a classic queue, which knows ten priorities, lives on one node only
            and has no delivery limit. The kind of a queue cannot change: use a new name, or delete
            the queue first.
    """
    options: dict[str, Any] = {"max_priority": 10} if classic else {}
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        # Keep a dead letter until its queue has it; that asks for reject-publish.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    if classic:
        arguments = {"x-queue-type": "classic"}
    arguments["x-dead-letter-exchange"] = DEAD_LETTERS
    return Queue(str(name), EXCHANGE, str(name), queue_arguments=arguments, **options)
