"""Dead letters for items that the transport set aside because it could not read them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from celery import Celery
from redis import Redis

from ..letters.letter import DeadLetter, Reason
from ..letters.messages import id_of
from ..letters.store import Store
from .transport import UNREADABLE

#: The list that older versions used, which was the same for all projects.
EARLIER = "unreadable"


def collect(app: Celery, store: Store) -> int:
    """Move all unreadable items into a store, and return how many there were."""
    with app.connection_for_write() as connection:
        if connection.transport.driver_type != "redis":
            return 0
        channel: Any = connection.default_channel
        # kombu's own client adds a project's prefix to the keys of some commands only, and those
        # that are used here are not among them.
        client = Redis(connection_pool=channel.pool)
        keys = (f"{channel.global_keyprefix}{key}" for key in (UNREADABLE, EARLIER))
        return sum(move(client, key, store) for key in keys)


def move(client: Any, key: str, store: Store) -> int:
    """Move a list into a store, and return how long it was."""
    moved = 0
    while (body := client.lindex(key, -1)) is not None:
        raw = body if isinstance(body, bytes) else body.encode()
        text = "not a kombu message"
        letter = DeadLetter(
            id_of(raw), "", Reason.UNREADABLE, body=b64encode(raw).decode(), text=text
        )
        store.add(letter)
        client.lrem(key, -1, body)  # another process may have moved it too
        moved += 1
    return moved
