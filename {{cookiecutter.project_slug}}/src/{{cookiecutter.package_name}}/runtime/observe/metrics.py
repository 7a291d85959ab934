"""The metrics of a process: what it counts, and the names by which Prometheus knows them.

Names and labels are those of the exporter that most people use, so that its dashboards and alert
rules work unchanged (https://github.com/danihodovic/celery-exporter). That one reads Celery's event
stream, which costs a third of the throughput of short tasks; this costs next to nothing, and misses
nothing while nobody listens.

`hostname` is the name of the process without its machine, such as `general`: Prometheus has the
machine as `instance`, and a label that is new after each deployment would add series for ever.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from ..context import SENT_HEADER
from ..letters.messages import queue_of
from ..observer import Observer
from .figures import FIGURES, LABELS, Series

# They would be a second series for each of ours, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: All figures of a process.
REGISTRY = CollectorRegistry(auto_describe=False)
REGISTRY.register(FIGURES)

#: What else is counted, by the name that `Observer.count` gets, with its labels.
COUNTED_ELSEWHERE: dict[str, tuple[str, tuple[str, ...]]] = {
    "task_publish_errors": ("Tasks that could not be sent, by class of error.", ("exception",)),
    "dead_letters": (
        "Tasks that failed for good, and messages that could not be read.",
        ("queue_name", "reason"),
    ),
    "lease_renewals": ("Leases of messages that were renewed.", ()),
    "lease_rescues": ("Messages of silent workers that were given back.", ()),
    "idempotent_calls": (
        "Calls of idempotent tasks: ran, repeated (an earlier outcome), waits, lost.",
        ("name", "outcome"),
    ),
    "rate_limit_calls": ("Starts under a rate limit: started, put back.", ("limit", "outcome")),
    "circuit_calls": ("Calls by circuit: answered, failed, refused.", ("circuit", "outcome")),
}

#: What goes up and down, by the name that `Observer.set` gets, with its labels.
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "circuit_open": ("1 if the circuit was open at the last call, else 0.", ("circuit",)),
    "beat_last_tick_timestamp_seconds": ("When beat last looked at its schedule.", ()),
    "beat_lateness_seconds": ("How late beat sent what it sent last.", ()),
}

#: The task or the queue of a message that the project does not have: a sender chooses these names.
OTHER = "other"


def counter(name: str, text: str, *labels: str) -> Counter:
    """Return a counter."""
    return Counter(f"celery_{name}", text, labels, registry=REGISTRY)


def gauge(name: str, text: str, *labels: str) -> Gauge:
    """Return a gauge, whose value is that of the process that has set it last."""
    return Gauge(f"celery_{name}", text, labels, registry=REGISTRY, multiprocess_mode="mostrecent")


SENT = counter("task_sent", "Tasks that the process has sent.", *LABELS)

OTHERS = {
    name: counter(name, text, "hostname", *labels)
    for name, (text, labels) in COUNTED_ELSEWHERE.items()
}

SET = {name: gauge(name, text, "hostname", *labels) for name, (text, labels) in GAUGES.items()}


class Recorder(Observer):
    """Counts what a process does.

    Args:
        process: The name of the process, such as `general`.
        tasks: The names of the project's tasks.
        queues: The names of the project's queues.
    """

    def __init__(self, process: str, tasks: set[str], queues: set[str]) -> None:
        self.process, self.tasks, self.queues = process, tasks, queues
        self.known: dict[tuple[str, str], Series] = {}

    def series(self, request: Any) -> Series:
        """Return the series of a request, which keeps it from its first event on."""
        try:
            found: Series = request.series
        except AttributeError:
            key = (request.name, queue_of(request.delivery_info, {}))
            if key not in self.known:
                name, queue = key
                self.known[key] = FIGURES.of((name, self.process, self.known_queue(queue)))
            found = request.series = self.known[key]
        return found

    def known_queue(self, queue: str) -> str:
        """Return the name of a queue for a label."""
        return queue if queue in self.queues else OTHER

    def received(self, request: Any, **_: Any) -> None:
        """Count a message that has arrived; a handler of the signal `task_received`."""
        self.series(request).count("task-received")

    def sent(self, sender: str, routing_key: str = "", **_: Any) -> None:
        """Count a message that was sent; a handler of the signal `after_task_publish`."""
        name = sender if sender in self.tasks else OTHER
        # RabbitMQ's delayed delivery puts the delay before the name of the queue.
        queue = routing_key if routing_key in self.queues else routing_key.rpartition(".")[2]
        SENT.labels(name, self.process, self.known_queue(queue)).inc()

    def note(self, request: Any, event: str) -> None:
        """Count an event."""
        series = self.series(request)
        if event == "task-started":
            series.start(waited(request))
        elif event == "task-failed":
            series.fail(request.error_class)
        elif event in series.counts:
            series.count(event)

    def succeeded(self, request: Any, seconds: float | None) -> None:
        """Count a success and its run time."""
        self.series(request).succeed(seconds)

    def count(self, what: str, number: float = 1, **labels: str) -> None:
        """Count something else."""
        if "queue_name" in labels:
            labels["queue_name"] = self.known_queue(labels["queue_name"])
        OTHERS[what].labels(hostname=self.process, **labels).inc(number)

    def set(self, what: str, value: float, **labels: str) -> None:
        """Keep a value."""
        SET[what].labels(hostname=self.process, **labels).set(value)


def waited(request: Any) -> float | None:
    """Return how many seconds a task has waited since it was sent, or since it was due.

    Clocks of two machines may differ by more than that, so it is never below zero.
    """
    sent = request.request_dict.get(SENT_HEADER)
    if not isinstance(sent, int | float):
        return None
    due = request.eta
    if isinstance(due, datetime):
        sent = max(sent, due.timestamp())
    return max(0.0, time.time() - sent)
