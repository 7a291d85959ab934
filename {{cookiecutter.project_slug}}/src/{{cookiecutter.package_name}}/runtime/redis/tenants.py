"""Noisy tenants: their tasks come after everyone else's in the same queues.

`APP_NOISY_TENANTS=acme,globex` names the tenants. Their tasks stay in their queues, so that the
right workers run them, but get the lowest priority.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from celery import current_app

from .. import context
from . import settings


@cache
def noisy() -> frozenset[str]:
    """Return the noisy tenants.

    Raises:
        ConfigurationError: The value of the variable is wrong.
    """
    return frozenset(settings.load().noisy_tenants)


class NoisyTenants:
    """A dynamic router that lowers the priority of tasks that are published for noisy tenants.

    Args:
        priority: The lowest priority of the broker.
        spare: Names of queues that are left alone, such as those on which people wait.
    """

    def __init__(self, priority: int, spare: Collection[str] = ()) -> None:
        self.priority = priority
        self.spare = spare

    def __call__(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any],
        task: Any = None,
        **extra: Any,
    ) -> dict[str, Any] | None:
        """Return a destination, or None to let the other routers decide."""
        if not noisy() or context.current().tenant not in noisy():
            return None
        app = task.app if task is not None else current_app
        route = self.usual(app, name, args, kwargs, options, task)
        destination = {"queue": route} if isinstance(route, str) else dict(route or {})
        destination.setdefault("queue", app.conf.task_default_queue)
        queue = options.get("queue") or destination["queue"]  # the caller's choice wins
        if getattr(queue, "name", queue) in self.spare:
            return None
        return {**destination, "priority": self.priority}

    def usual(self, app: Any, *query: Any) -> Any:
        """Return the answer of the first other router that has one."""
        router = app.amqp.router
        others = (each for each in router.routes if each is not self)
        answers = (router.query_router(other, *query) for other in others)
        return next((answer for answer in answers if answer is not None), None)
