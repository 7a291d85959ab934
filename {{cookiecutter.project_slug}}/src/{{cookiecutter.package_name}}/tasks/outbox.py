"""The relay of the outbox."""

from __future__ import annotations

from ..celery import app
from ..runtime.sql import database, outbox


@app.task(name="outbox.relay")
def relay() -> int:
    """Send what the outbox holds and return how many tasks that were."""
    total = 0
    while True:
        with database.session() as session:
            sent = outbox.send_batch(app, session)
        total += sent
        if sent < outbox.BATCH:
            return total
