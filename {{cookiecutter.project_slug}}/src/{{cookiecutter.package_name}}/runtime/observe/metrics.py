"""The metrics of a worker, counted in its main process.

Names and labels are those of the exporter that most people use, so that its dashboards and alert
rules work unchanged (https://github.com/danihodovic/celery-exporter). That one reads Celery's event
stream, which costs a third of the throughput of short tasks; this costs next to nothing, and misses
nothing while nobody listens.

`hostname` is the name of the worker without its machine, such as `general`: Prometheus has the
machine as `instance`, and a label that is new after each deployment would add series for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from celery.worker import state
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..context import SENT_HEADER
from ..letters.messages import queue_of
from ..observer import Observer

# They would be a second series for each of ours, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry(auto_describe=False)

LABELS = ("name", "hostname", "queue_name")

#: Upper limits in seconds. The first ones are the usual ones of Prometheus; tasks may be longer
#: than requests.
BUCKETS = (*Histogram.DEFAULT_BUCKETS[:-1], 30, 60, 120, 300, 600, 1800, 3600)

#: What is counted for each type of Celery's events.
COUNTED = {
    "task-received": "Tasks that the worker has received.",
    "task-started": "Tasks that have started.",
    "task-succeeded": "Tasks that have succeeded.",
    "task-retried": "Tasks that failed, or lost their process, and will run again.",
    "task-rejected": "Tasks whose message was given back or set aside.",
    "task-revoked": "Tasks that were revoked, or have expired.",
}

#: The queue of a message whose queue the project does not have, as the sender chooses that name.
OTHER = "other"


def counter(event: str, text: str, *labels: str) -> Counter:
    """Return the counter for a type of events."""
    return Counter(f"celery_{event.replace('-', '_')}", text, [*LABELS, *labels], registry=REGISTRY)


COUNTERS = {event: counter(event, text) for event, text in COUNTED.items()}

FAILED = counter("task-failed", "Tasks that failed for good, by class of error.", "exception")

RUNTIME = Histogram(
    "celery_task_runtime", "Seconds that a task ran.", LABELS, registry=REGISTRY, buckets=BUCKETS
)

WAITED = Histogram(
    "celery_task_queue_wait_time",
    "Seconds between sending a task, or the time for which it was sent, and its start.",
    LABELS,
    registry=REGISTRY,
    buckets=BUCKETS,
)


class Series:
    """The series of one task in one queue; all of them exist from the first message on.

    A rate needs a series that was zero before.
    """

    def __init__(self, labels: tuple[str, str, str]) -> None:
        self.labels = labels
        self.counters = {event: each.labels(*labels) for event, each in COUNTERS.items()}
        self.runtime, self.waited = RUNTIME.labels(*labels), WAITED.labels(*labels)


class Recorder(Observer):
    """Counts the tasks of a worker.

    Args:
        worker: The name of the worker, such as `general`.
        queues: The names of the project's queues.
    """

    def __init__(self, worker: str, queues: set[str]) -> None:
        self.worker, self.queues = worker, queues
        self.known: dict[tuple[str, str], Series] = {}

    def series(self, request: Any) -> Series:
        """Return the series of a request."""
        key = (request.name, queue_of(request.delivery_info, {}))
        try:
            return self.known[key]
        except KeyError:
            name, queue = key
            queue = queue if queue in self.queues else OTHER
            return self.known.setdefault(key, Series((name, self.worker, queue)))

    def received(self, request: Any, **_: Any) -> None:
        """Count a message that has arrived; a handler of the signal `task_received`."""
        self.series(request).counters["task-received"].inc()

    def note(self, request: Any, event: str) -> None:
        """Count an event."""
        series = self.series(request)
        if event == "task-failed":
            FAILED.labels(*series.labels, request.error_class).inc()
            return
        if event == "task-started":
            wait = waited(request)
            if wait is not None:
                series.waited.observe(wait)
        if found := series.counters.get(event):
            found.inc()

    def succeeded(self, request: Any, seconds: float | None) -> None:
        """Count a success and its run time."""
        series = self.series(request)
        series.counters["task-succeeded"].inc()
        if seconds is not None:
            series.runtime.observe(seconds)


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


class WorkerState(Collector):
    """What the worker does at the moment of a scrape.

    Args:
        worker: The name of the worker.
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        active = len(state.active_requests)
        held = len(state.reserved_requests) - active
        for name, text, value in (
            ("up", "1 as long as the worker answers.", 1),
            ("tasks_active", "Tasks that the worker is running.", active),
            ("tasks_held", "Tasks that the worker holds and has not started.", max(0, held)),
        ):
            gauge = GaugeMetricFamily(f"celery_worker_{name}", text, labels=["hostname"])
            gauge.add_metric([self.worker], value)
            yield gauge
