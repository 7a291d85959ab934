"""A noisy tenant waits: its tasks come after those of all others in the same queues.

`APP_NOISY_TENANTS=acme,globex` names the tenants. Their tasks stay on their queues, so the right
workers run them, but with the lowest priority. What a person waits for (`critical`) is not touched.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from celery.app.routes import MapRoute

from . import context, queues

_route_by_name = MapRoute(queues.TASK_ROUTES)


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
    route = queues.route_urgent(name, args, kwargs, options) or _route_by_name(name)
    destination = route or queues.to(queues.QueueName.DEFAULT)
    if destination["queue"] == queues.QueueName.CRITICAL:
        return None
    return {**destination, "priority": queues.Priority.LOW.value}
