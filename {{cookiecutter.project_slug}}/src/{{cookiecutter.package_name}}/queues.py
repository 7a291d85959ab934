"""Queues, priorities and routes: the one table that config, tests and deployment read.

A queue says how soon work must start, or what it waits for:

    critical    a person is waiting: sign-in codes, password resets
    default     everything else
    bulk        may wait for hours: clean-up, mass mailings
    io          waits for other servers: mail, webhooks, APIs
    cpu         keeps a core busy: reports, images

A new queue needs a row here and a worker that consumes it (Procfile and every deployment file).
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
    """Return a destination in the form that Celery's router takes."""
    return {"queue": queue.value, "priority": priority.value}


CRITICAL = to(QueueName.CRITICAL, Priority.HIGH)

#: Headers that send one call of any task to the critical queue: `.apply_async(headers=URGENT)`.
URGENT = routes.URGENT

#: Where tasks go that name no queue themselves, by their names or patterns of names: a name wins
#: over all patterns, else the first that matches. What matches nothing goes to `default`.
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
