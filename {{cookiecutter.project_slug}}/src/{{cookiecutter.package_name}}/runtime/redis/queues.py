"""Queues on Redis, and the priorities inside them."""

from __future__ import annotations

from enum import IntEnum

from kombu import Queue


class Priority(IntEnum):
    """Priorities inside a queue. On Redis, the smallest number comes first.

    Use them seldom; urgent tasks should have a queue of their own. kombu reads a worker's queues
    first by priority and only then in the order of `--queues`, so the routes give every queue a
    level of its own.
    """

    HIGH = 0
    NORMAL = 3
    LOW = 6


def declaration(name: str) -> Queue:
    """Return a kombu queue with this name."""
    return Queue(str(name), routing_key=str(name))
