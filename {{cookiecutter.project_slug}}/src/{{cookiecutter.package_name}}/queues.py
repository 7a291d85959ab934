"""Queues, priorities and routes.

A queue says how soon its tasks must start, or what they wait for:

    critical    a person is waiting: sign-in codes, password resets
    default     everything else
    bulk        tasks that may wait for hours: clean-up, mass mailings
    io          tasks that wait for other servers: mail, webhooks, APIs
    cpu         tasks that keep a core busy: reports, images

A new queue needs a row here and a worker that consumes it (in the Procfile and in every deployment
file).
"""

from enum import StrEnum
from typing import Any

from .runtime import routes
from .runtime.{{ cookiecutter.broker }}.queues import Priority, declaration
{% if cookiecutter.broker == "redis" %}
from .runtime.redis.tenants import NoisyTenants
{% endif %}

__all__ = ["CRITICAL", "QUEUES", "ROUTES", "TASK_ROUTES", "URGENT", "Priority", "QueueName", "to"]


class QueueName(StrEnum):
    """The names of all queues."""

    CRITICAL = "critical"
    DEFAULT = "default"
    BULK = "bulk"
    IO = "io"
    CPU = "cpu"


{% include "brokers/" ~ cookiecutter.broker ~ "/queues.py" %}


def to(queue: QueueName, priority: Priority = Priority.NORMAL) -> dict[str, Any]:
    """Return a queue and a priority in the form that Celery's router expects."""
    return {"queue": queue.value, "priority": priority.value}


CRITICAL = to(QueueName.CRITICAL, Priority.HIGH)

#: Headers that send one call of any task to the critical queue: `.apply_async(headers=URGENT)`.
URGENT = routes.URGENT

#: Where tasks go that name no queue themselves, by task names or patterns. An exact name wins over
#: all patterns; otherwise the first match wins. A task that matches nothing goes to `default`.
TASK_ROUTES: dict[str, dict[str, Any]] = {
{% include "examples/" ~ cookiecutter.examples ~ "/routes.py" ignore missing %}
    "heartbeat.*": to(QueueName.DEFAULT),
{% if cookiecutter.__django %}
    "jobs.*": to(QueueName.BULK, Priority.LOW),
{% endif %}
}

ROUTES = (
{% if cookiecutter.broker == "redis" %}
    NoisyTenants(Priority.LOW, spare={QueueName.CRITICAL}),
{% endif %}
    routes.urgent(CRITICAL),
    routes.of_task,
    TASK_ROUTES,
)
