"""The number of waiting messages in a queue, and the age of the oldest."""

from __future__ import annotations

import time
from typing import Any

from kombu import Connection
from kombu.utils.json import loads

from ..broker import size


def look(connection: Connection, queue: str) -> tuple[int, float | None]:
    """Return how many messages wait, and the age of the oldest in seconds, if there is one."""
    channel: Any = connection.default_channel
    messages = size(channel, queue)
    if not messages:
        return messages, None
    sent = [loads(head)["properties"].get("timestamp") for head in channel.heads(queue)]
    times = [moment for moment in sent if moment]
    return messages, max(0.0, time.time() - min(times)) if times else None
