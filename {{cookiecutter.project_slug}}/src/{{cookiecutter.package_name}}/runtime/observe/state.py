"""What a worker does, and how much memory and CPU time it takes, at the moment of a scrape."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from celery.worker import state
from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from . import cgroup

#: The name of the process of the worker itself, beside the numbers of those of its pool.
MAIN = "main"

#: What the figures about processes begin with; those of Prometheus' clients about their own begin
#: with `process`.
PREFIX = "celery_worker"


class WorkerState(Collector):
    """What a worker does.

    Args:
        name: The name of the worker.
        worker: The worker.
    """

    def __init__(self, name: str, worker: Any) -> None:
        self.name, self.worker = name, worker

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        active = len(state.active_requests)
        held = len(state.reserved_requests) - active
        yield self.gauge("worker_up", "1 as long as the worker answers.", 1)
        yield self.gauge("worker_tasks_active", "Tasks that the worker is running.", active)
        yield self.gauge(
            "worker_tasks_held", "Tasks that the worker holds and has not started.", max(0, held)
        )
        queues = [(queue,) for queue in tuple(self.worker.app.amqp.queues.consume_from)]
        yield self.gauge("active_worker_count", "Workers that consume the queue.", 1, queues)
        slots = self.worker.concurrency
        yield self.gauge("active_process_count", "Tasks that they can run at once.", slots, queues)
        if memory := cgroup.memory():
            text = "Memory that the worker, or its container, uses."
            yield self.gauge("worker_memory_bytes", text, memory.used)
            text = "Memory that the worker, or its container, may use."
            yield self.gauge("worker_memory_limit_bytes", text, memory.limit)
        yield self.limits()
        yield from usage(self.name, {MAIN: os.getpid(), **children(self.worker)})

    def limits(self) -> Metric:
        """Return how long each task of the project may run, of those that have a limit."""
        app = self.worker.app
        text = "Seconds after which the task is told to stop, or else stopped."
        labels = ["hostname", "name"]
        metric = GaugeMetricFamily("celery_task_time_limit_seconds", text, labels=labels)
        for name, task in tuple(app.tasks.items()):
            soft = task.soft_time_limit or app.conf.task_soft_time_limit
            limit = soft or task.time_limit or app.conf.task_time_limit
            if limit and not name.startswith("celery."):
                metric.add_metric([self.name, name], limit)
        return metric

    def gauge(
        self, name: str, text: str, value: float, queues: Sequence[tuple[str]] | None = None
    ) -> Metric:
        """Return a figure about the worker as a whole, or about each of its queues."""
        labels = ["hostname"] if queues is None else ["hostname", "queue_name"]
        metric = GaugeMetricFamily(f"celery_{name}", text, labels=labels)
        for queue in [()] if queues is None else queues:
            metric.add_metric([self.name, *queue], value)
        return metric


def children(worker: Any) -> dict[str, int]:
    """Return the processes of a worker's pool: their places in it, and their ids."""
    pool = getattr(worker.pool, "_pool", None)  # of billiard, if it has one
    processes = tuple(getattr(pool, "_pool", None) or ())
    return {str(each.index): each.pid for each in processes if hasattr(each, "index")}


def usage(name: str, processes: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the memory and the CPU time of processes, on Linux.

    Args:
        name: The name of the worker.
        processes: Their ids.
    """
    labels = ["hostname", "process"]
    memory = GaugeMetricFamily(
        f"{PREFIX}_process_resident_memory_bytes", "Memory of a process.", labels=labels
    )
    cpu = CounterMetricFamily(
        f"{PREFIX}_process_cpu_seconds", "CPU time of a process.", labels=labels
    )
    for process, pid in processes.items():
        collector = ProcessCollector(PREFIX, pid=lambda pid=pid: pid, registry=None)  # type: ignore[misc]
        found = {metric.name: metric.samples[0].value for metric in collector.collect()}
        for family in (memory, cpu):
            if family.name in found:  # unless the process has just ended
                family.add_metric([name, process], found[family.name])
    yield from (memory, cpu)
