"""Webhooks: calls to the servers of customers."""

from __future__ import annotations

from typing import Any

from ..celery import app
from ..queues import QueueName
from ..runtime.tasks.http import HTTPTask
from ..settings import settings


@app.task(base=HTTPTask, bind=True, name="webhooks.deliver", queue=QueueName.IO)
def deliver(
    self: HTTPTask, url: str, event: str, payload: dict[str, Any], idempotency_key: str = ""
) -> int:
    """Post an event as JSON, and return the HTTP status.

    Args:
        url: The URL to post to.
        event: The name of the event.
        payload: The data of the event.
        idempotency_key: The key by which the receiver recognises a repetition; by default the id of
            the task, which is the same in every retry.
    """
    response = self.call(
        "POST",
        url,
        json={"event": event, "data": payload},
        headers=self.idempotency_headers(idempotency_key),
        timeout=settings().webhook_timeout,
    )
    return response.status_code
