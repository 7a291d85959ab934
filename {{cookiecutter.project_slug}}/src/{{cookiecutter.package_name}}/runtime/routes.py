"""Routers that take precedence over a project's table of routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Headers that make a single message urgent although its task usually is not; see `urgent`.
URGENT = {"x-urgent": "yes"}


def urgent(destination: Mapping[str, Any]) -> Callable[..., dict[str, Any] | None]:
    """Return a router for messages that are sent with the headers `URGENT`.

        send_mail.apply_async(args, headers=URGENT)
        chain(charge.s(7).set(headers=URGENT), ship.s())  # applies to this part only

    A header needs no parameter of the task, and a router, unlike a table of routes, sees the
    options of a call. A queue that the caller names (`apply_async(queue=...)`) wins over both.

    Args:
        destination: Queue and priority of urgent messages.
    """

    def route_urgent(
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any],
        task: Any = None,
        **extra: Any,
    ) -> dict[str, Any] | None:
        # A copy, because Celery's router modifies what it gets.
        headers = options.get("headers") or {}
        return dict(destination) if URGENT.items() <= headers.items() else None

    return route_urgent
