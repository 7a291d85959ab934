"""The number of waiting messages in a queue, the age of the oldest, and the memory of Redis."""

from __future__ import annotations

import time
from typing import Any

from kombu import Connection
from kombu.utils.json import loads

from ..broker import Depth, Memory, size


def look(connection: Connection, queue: str) -> Depth:
    """Return how many messages wait, and the age of the oldest, if there is one.

    A consumer of Redis is only a client that asks for messages now and then.
    """
    channel: Any = connection.default_channel
    messages = size(channel, queue)
    if not messages:
        return Depth(messages)
    sent = [loads(head)["properties"].get("timestamp") for head in channel.heads(queue)]
    times = [moment for moment in sent if moment]
    return Depth(messages, max(0.0, time.time() - min(times)) if times else None)


def memory(connection: Connection) -> Memory:
    """Return the memory of Redis."""
    channel: Any = connection.default_channel
    with channel.conn_or_acquire() as client:
        info = client.info("memory")
    return Memory(info["used_memory"], info["maxmemory"] or None)
