"""What the transport set aside, as dead letters: bodies from which no message could be read."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from celery import Celery

from ..transport import UNREADABLE
from .dead_letters import DeadLetter, Reason, Store, id_of


def collect(app: Celery, store: Store) -> int:
    """Move everything into the store and return how much it was."""
    with app.connection_for_write() as connection:
        if connection.transport.driver_type != "redis":
            return 0
        collected = 0
        channel: Any = connection.default_channel
        with channel.conn_or_acquire() as client:
            while (body := client.lindex(UNREADABLE, -1)) is not None:
                raw = body if isinstance(body, bytes) else body.encode()
                text = "no message of kombu"
                letter = DeadLetter(
                    id_of(raw), "", Reason.UNREADABLE, body=b64encode(raw).decode(), text=text
                )
                store.add(letter)
                client.lrem(UNREADABLE, -1, body)  # another process may have moved it as well
                collected += 1
        return collected
