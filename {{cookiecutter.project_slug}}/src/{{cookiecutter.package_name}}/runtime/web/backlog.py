"""How much waits in a queue, as the broker in use can tell it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kombu import Connection

#: The folder of each broker, by what its transport calls itself.
FOLDERS = {"amqp": "rabbitmq", "redis": "redis"}


def look(connection: Connection, queue: str) -> tuple[int, float | None]:
    """Return how many messages wait, and the age of the oldest in seconds, if it is known."""
    folder = FOLDERS.get(connection.transport.driver_type)
    if folder is None:  # a broker in memory or in files
        channel: Any = connection.default_channel
        return channel._size(queue), None
    # Only the folder of the project's own broker is there.
    broker: Any = import_module(f"...{folder}.backlog", __name__)
    messages, oldest = broker.look(connection, queue)
    return messages, oldest
