"""Dead letters for messages that never reached a task."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

from kombu.utils.json import loads

from .letter import DeadLetter, Reason, is_json


def of_message(message: Any, reason: str, error: str = "", text: str = "") -> DeadLetter:
    """Return a dead letter for a kombu message that never reached a task."""
    headers = {name: value for name, value in (message.headers or {}).items() if is_json(value)}
    args, kwargs, embed = arguments(message)
    body = message.body.encode() if isinstance(message.body, str) else bytes(message.body or b"")
    if args is None and reason != Reason.UNKNOWN_TASK:
        reason = Reason.UNREADABLE if reason == Reason.REJECTED else reason
    return DeadLetter(
        id=str(headers.get("id") or id_of(body)),
        task=str(headers.get("task") or ""),
        reason=reason,
        queue=queue_of(message.delivery_info or {}, headers),
        args=args,
        kwargs=kwargs,
        priority=(message.properties or {}).get("priority"),
        headers=headers,
        embed=embed,
        body=b64encode(body).decode() if args is None else None,
        error=error,
        text=text,
        attempts=int(headers.get("retries") or 0) + 1 if args is not None else 0,
    )


def id_of(body: bytes) -> str:
    """Return an id for a message without one; the same body always gives the same id."""
    return str(UUID(bytes=sha256(body).digest()[:16]))


def arguments(message: Any) -> tuple[list[Any] | None, dict[str, Any], dict[str, Any]]:
    """Return the arguments of a message and what is embedded in it, or None for a foreign one.

    Only JSON is read: a pickle could run code.
    """
    try:
        body = message.body
        if message.content_type != "application/json":
            return None, {}, {}
        args, kwargs, embed = loads(body if isinstance(body, str | bytes) else bytes(body))
        return list(args), dict(kwargs), dict(embed or {})
    except (ValueError, TypeError):
        return None, {}, {}


def queue_of(delivery_info: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    """Return the queue in which a message waited.

    RabbitMQ records it on its dead letters; the routing key of a delayed message ends in it.
    """
    deaths = headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        return str(deaths[0].get("queue", ""))
    return str(delivery_info.get("routing_key") or "").rpartition(".")[2]
