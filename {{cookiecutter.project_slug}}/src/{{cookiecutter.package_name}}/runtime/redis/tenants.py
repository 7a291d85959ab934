"""A noisy tenant waits: its tasks come after those of all others in the same queues.

`APP_NOISY_TENANTS=acme,globex` names the tenants. Their tasks stay on their queues, so the right
workers run them, but with the lowest priority. What a person waits for (`critical`) is not touched.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from celery import current_app

from ... import queues
from .. import context


@cache
def noisy() -> frozenset[str]:
    """Return the noisy tenants."""
    names = (name.strip() for name in os.environ.get("APP_NOISY_TENANTS", "").split(","))
    return frozenset(name for name in names if name)


def route_noisy(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    task: Any = None,
    **extra: Any,
) -> dict[str, Any] | None:
    """Lower the priority of a task that is published for a noisy tenant: a dynamic router."""
    if not noisy() or context.current().tenant not in noisy():
        return None
    app = task.app if task is not None else current_app
    route = usual(app, name, args, kwargs, options, task)
    destination = {"queue": route} if isinstance(route, str) else dict(route or {})
    destination.setdefault("queue", app.conf.task_default_queue)
    queue = options.get("queue") or destination["queue"]  # what the caller names wins
    if getattr(queue, "name", queue) == queues.QueueName.CRITICAL:
        return None
    return {**destination, "priority": queues.Priority.LOW.value}


def usual(app: Any, *query: Any) -> Any:
    """Return what the first of the other routers says, whatever routers the project has."""
    router = app.amqp.router
    others = (each for each in router.routes if each is not route_noisy)
    answers = (router.query_router(other, *query) for other in others)
    return next((answer for answer in answers if answer is not None), None)
