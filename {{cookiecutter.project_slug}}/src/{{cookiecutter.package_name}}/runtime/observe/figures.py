"""The figures about tasks that the main process of a worker counts, in every pool.

They are plain numbers, from which Prometheus' families are made when somebody asks: the main
process is what limits the throughput of short tasks, and a counter and a histogram of
`prometheus_client` take twice the time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from threading import Lock

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

LABELS = ("name", "hostname", "queue_name")

#: What is counted for each type of Celery's events.
COUNTED = {
    "task-received": "Tasks that the worker has received.",
    "task-started": "Tasks that have started.",
    "task-succeeded": "Tasks that have succeeded.",
    "task-retried": "Tasks that failed, or lost their process, and will run again.",
    "task-rejected": "Tasks whose message was given back or set aside.",
    "task-revoked": "Tasks that were revoked, or have expired.",
}

#: Upper limits in seconds. The first ones are the usual ones of Prometheus; tasks may be longer
#: than requests.
BUCKETS = (*Histogram.DEFAULT_BUCKETS[:-1], 30, 60, 120, 180, 240, 300, 600, 1800, 3600)
LIMITS = (*map(floatToGoString, BUCKETS), "+Inf")


class Distribution:
    """How often values were in each bucket, and their sum."""

    def __init__(self) -> None:
        self.counts = [0] * len(LIMITS)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(BUCKETS, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return the limit of each bucket with the number of values that are not above it."""
        return list(zip(LIMITS, accumulate(self.counts), strict=True))


class Series:
    """The figures of one task in one queue; all of them exist from the first message on.

    A rate needs a series that was zero before. In some pools, several threads count at once.
    """

    def __init__(self, labels: tuple[str, str, str]) -> None:
        self.labels = labels
        self.lock = Lock()
        self.counts = dict.fromkeys(COUNTED, 0)
        self.failed: dict[str, int] = {}
        self.runtime, self.waited = Distribution(), Distribution()

    def count(self, event: str) -> None:
        """Count an event."""
        with self.lock:
            self.counts[event] += 1

    def start(self, waited: float | None) -> None:
        """Count a start, and the seconds that the task has waited for it, if they are known."""
        with self.lock:
            self.counts["task-started"] += 1
            if waited is not None:
                self.waited.add(waited)

    def succeed(self, seconds: float | None) -> None:
        """Count a success, and the seconds that the task ran, if they are known."""
        with self.lock:
            self.counts["task-succeeded"] += 1
            if seconds is not None:
                self.runtime.add(seconds)

    def fail(self, error: str) -> None:
        """Count a failure for good, by the class of its error."""
        with self.lock:
            self.failed[error] = self.failed.get(error, 0) + 1


class Figures(Collector):
    """All series of a process."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str, str], Series] = {}

    def of(self, labels: tuple[str, str, str]) -> Series:
        """Return the series with these labels."""
        return self.series.setdefault(labels, Series(labels))

    def collect(self) -> Iterator[Metric]:
        """Yield the families of all figures."""
        counters = {
            event: CounterMetricFamily(f"celery_{event.replace('-', '_')}", text, labels=LABELS)
            for event, text in COUNTED.items()
        }
        failed = CounterMetricFamily(
            "celery_task_failed",
            "Tasks that failed for good, by class of error.",
            labels=[*LABELS, "exception"],
        )
        runtime = HistogramMetricFamily(
            "celery_task_runtime", "Seconds that a task ran.", labels=LABELS
        )
        waited = HistogramMetricFamily(
            "celery_task_queue_wait_time",
            "Seconds between sending a task, or the time for which it was sent, and its start.",
            labels=LABELS,
        )
        for series in list(self.series.values()):
            with series.lock:
                for event, number in series.counts.items():
                    counters[event].add_metric(series.labels, number)
                for error, number in series.failed.items():
                    failed.add_metric([*series.labels, error], number)
                for family, found in ((runtime, series.runtime), (waited, series.waited)):
                    family.add_metric(series.labels, found.buckets(), found.sum)
        yield from (*counters.values(), failed, runtime, waited)


#: Those of this process.
FIGURES = Figures()
