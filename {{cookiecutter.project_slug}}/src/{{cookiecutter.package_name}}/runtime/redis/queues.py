"""Queues of Redis, and the priorities inside them."""

from __future__ import annotations

from enum import IntEnum

from kombu import Queue


class Priority(IntEnum):
    """Priority inside a queue. On Redis the smallest number comes first.

    Use it seldom: urgency is a queue. kombu reads all queues of a worker in the order of priority
    and only then in the order of `--queues`, so every queue is given its own level by the routes.
    """

    HIGH = 0
    NORMAL = 3
    LOW = 6


def declaration(name: str) -> Queue:
    """Return a queue as kombu takes it."""
    return Queue(str(name), routing_key=str(name))
