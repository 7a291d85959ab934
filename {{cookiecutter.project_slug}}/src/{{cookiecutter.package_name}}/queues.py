"""Queues, priorities and routes: the one table that config, tests and deployment read.

A queue says how soon work must start, or what it waits for:

    critical    a person is waiting: sign-in codes, password resets
    default     everything else
    bulk        may wait for hours: clean-up, mass mailings
    io          waits for other servers: mail, webhooks, APIs
    cpu         keeps a core busy: reports, images

A new queue needs a row here and a worker that consumes it (Procfile and every deployment file).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

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

#: Headers of a message that is urgent although its task usually is not, see `route_urgent`.
URGENT_HEADER = "x-urgent"
URGENT = {URGENT_HEADER: "yes"}

#: Patterns of task names, the first that matches wins. What matches nothing goes to `default`.
TASK_ROUTES: dict[str, dict[str, Any]] = {
{% include "examples/" ~ cookiecutter.examples ~ "/routes.py" ignore missing %}
    "heartbeat.*": to(QueueName.DEFAULT),
{% if cookiecutter.__sql %}
    "outbox.*": to(QueueName.DEFAULT),
{% endif %}
{% if cookiecutter.__django %}
    "jobs.*": to(QueueName.BULK, Priority.LOW),
{% endif %}
}


def route_urgent(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    task: Any = None,
    **extra: Any,
) -> dict[str, Any] | None:
    """Send any task to the critical queue that is sent with the header `x-urgent`.

        send_mail.apply_async(args, headers=URGENT)
        chain(charge.s(7).set(headers=URGENT), ship.s())  # each part says it for itself

    A header, since it needs no parameter of the task. A dynamic router: it sees the options of one
    call, the table above does not. A queue that the caller names (`apply_async(queue=...)`) wins
    over both.
    """
    # A copy, since Celery's router changes what it gets.
    headers = options.get("headers") or {}
    return dict(CRITICAL) if headers.get(URGENT_HEADER) == URGENT[URGENT_HEADER] else None


ROUTES = ({{ "NoisyTenants(Priority.LOW, spare={QueueName.CRITICAL}), " if cookiecutter.broker == "redis" }}route_urgent, TASK_ROUTES)
