"""The task that sends the tasks in the outbox; the project's schedule starts it."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from . import database, outbox


@shared_task(bind=True, name="outbox.relay")
def relay(self: Any) -> int:
    """Send the tasks in the outbox, and return how many there were."""
    total = 0
    while True:
        with database.session() as session:
            sent = outbox.send_batch(self.app, session)
        total += sent
        if sent < outbox.BATCH:
            return total
