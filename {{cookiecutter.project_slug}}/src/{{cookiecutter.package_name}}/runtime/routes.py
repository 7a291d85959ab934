"""Routers, which choose queue and priority; they take precedence over a project's table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celery import Celery, current_app
from celery.app.routes import Router as CeleryRouter

#: Headers that make a single message urgent although its task usually is not; see `urgent`.
URGENT = {"x-urgent": "yes"}


class Router(CeleryRouter):
    """Give a message the priority of its route, and without one the project's default.

    Celery gives every task the default as an option of each call, which wins over all routes.
    """

    app: Celery

    def route(
        self,
        options: dict[str, Any],
        name: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        task_type: Any = None,
    ) -> dict[str, Any]:
        """Return the options of a call with those of its route."""
        routed: dict[str, Any] = super().route(options, name, args, kwargs, task_type)
        if routed.get("priority") is None:
            routed["priority"] = self.app.conf.task_default_priority
        return routed


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


def of_task(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    task: Any = None,
    **extra: Any,
) -> dict[str, Any] | None:
    """Return the queue and the priority that a task names for itself: a router.

        @app.task(name="images.resize", queue="cpu")

    Celery would take them for options of every call, which win over all routers: the task could
    not be sent as urgent. So `BaseTask` keeps them for this router. Who sends an unknown name, as
    `celery call` does, first imports all modules with tasks.
    """
    if task is None and name not in current_app.tasks:
        current_app.loader.import_default_modules()
    # A batch (`chunks`, `starmap`) is routed by the name of its items, and is another task.
    task = current_app.tasks.get(name, task)
    return dict(getattr(task, "destination", {})) or None
