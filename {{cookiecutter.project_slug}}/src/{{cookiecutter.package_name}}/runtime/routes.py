"""Routers that stand before a project's table of routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Headers of a message that is urgent although its task usually is not, see `urgent`.
URGENT = {"x-urgent": "yes"}


def urgent(destination: Mapping[str, Any]) -> Callable[..., dict[str, Any] | None]:
    """Return a router for tasks that are sent with the headers `URGENT`, whatever their routes.

        send_mail.apply_async(args, headers=URGENT)
        chain(charge.s(7).set(headers=URGENT), ship.s())  # each part says it for itself

    A header, since it needs no parameter of the task. A router, since it sees the options of one
    call, and a table does not. A queue that the caller names (`apply_async(queue=...)`) wins over
    both.

    Args:
        destination: Queue and priority of urgent tasks.
    """

    def route_urgent(
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any],
        task: Any = None,
        **extra: Any,
    ) -> dict[str, Any] | None:
        # A copy, since Celery's router changes what it gets.
        headers = options.get("headers") or {}
        return dict(destination) if URGENT.items() <= headers.items() else None

    return route_urgent
