"""The number of waiting messages in a queue, and the age of the oldest."""

from __future__ import annotations

import time
from typing import Any

from kombu import Connection
from kombu.utils.json import loads


def look(connection: Connection, queue: str) -> tuple[int, float | None]:
    """Return how many messages wait, and the age of the oldest in seconds, if there is one."""
    channel: Any = connection.default_channel
    # This avoids kombu's check that a queue exists, because that check ignores a key prefix.
    messages = channel._size(queue)
    if not messages or not hasattr(channel, "priority_steps"):  # empty; in memory or in files
        return messages, None
    prefix = channel.global_keyprefix  # kombu's client adds it only to commands that kombu uses
    with channel.conn_or_acquire() as client:
        heads = [
            client.lindex(prefix + channel._q_for_pri(queue, step), -1)
            for step in channel.priority_steps
        ]
    sent = [loads(head)["properties"].get("timestamp") for head in heads if head]
    times = [moment for moment in sent if moment]
    return messages, max(0.0, time.time() - min(times)) if times else None
