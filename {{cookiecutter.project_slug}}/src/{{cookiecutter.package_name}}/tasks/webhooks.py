"""Calls to the servers of others."""

from __future__ import annotations

from typing import Any

import httpx

from .. import errors
from ..celery import app
from ..runtime.errors import PermanentError, TransientError
from .client import HTTPTask


@app.task(base=HTTPTask, bind=True, name="webhooks.deliver")
def deliver(
    self: HTTPTask, url: str, event: str, payload: dict[str, Any], idempotency_key: str = ""
) -> int:
    """Post an event as JSON and return the status.

    Args:
        url: Where to.
        event: Name of the event.
        payload: Its data.
        idempotency_key: What the receiver recognises a repetition by; by default the task's id,
            which is the same in every retry.
    """
    headers = self.idempotency_headers(idempotency_key)
    try:
        response = self.http.post(url, json={"event": event, "data": payload}, headers=headers)
    except httpx.TransportError as error:
        raise TransientError(f"POST {url}: {error}") from error
    except httpx.InvalidURL as error:
        raise PermanentError(f"POST {url}: {error}") from error
    errors.raise_for_response(response)
    return response.status_code
