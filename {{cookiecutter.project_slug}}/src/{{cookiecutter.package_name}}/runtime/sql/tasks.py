"""The task that sends what the outbox holds; the project's schedule starts it."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from . import database, outbox


@shared_task(bind=True, name="outbox.relay")
def relay(self: Any) -> int:
    """Send what the outbox holds and return how many tasks that were."""
    total = 0
    while True:
        with database.session() as session:
            sent = outbox.send_batch(self.app, session)
        total += sent
        if sent < outbox.BATCH:
            return total
