"""What workers tell in Celery's event stream, added up by task.

Workers send events only where somebody has asked them to, because that costs them a third of the
throughput of short tasks. `Totals` counts them, and `Switch` asks for them and undoes it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from statistics import fmean, quantiles
from typing import TYPE_CHECKING, Any

from .logs.redaction import text

if TYPE_CHECKING:
    from .app import App

#: What is counted, by the type of the event.
COUNTED = {
    "task-received": "received",
    "task-started": "started",
    "task-succeeded": "succeeded",
    "task-failed": "failed",
    "task-retried": "retried",
    "task-rejected": "rejected",
    "task-revoked": "revoked",
}

#: Events after which a task does not run.
ENDS = frozenset(COUNTED) - {"task-received", "task-started"}

#: The task of an event about one that was received before anybody listened: only the event of its
#: receipt has its name.
EARLIER = "(received earlier)"

#: Run times of a task that are kept for its percentile.
KEPT = 1000

#: Tasks of which the end is awaited; of more, the oldest are forgotten.
MOST = 100_000


@dataclass
class Total:
    """What has become of the calls of a task."""

    counts: Counter[str] = field(default_factory=Counter)
    running: int = 0
    #: The last run times in seconds.
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    #: The last error.
    error: str = ""

    @property
    def success_rate(self) -> float | None:
        """Return which part of the tasks that have ended has succeeded."""
        ended = self.counts["succeeded"] + self.counts["failed"]
        return self.counts["succeeded"] / ended if ended else None

    @property
    def mean(self) -> float | None:
        """Return the mean run time in seconds of the last successes."""
        return fmean(self.seconds) if self.seconds else None

    @property
    def p95(self) -> float | None:
        """Return the run time in seconds that 95 % of the last successes did not exceed."""
        if len(self.seconds) < 2:
            return self.mean
        return quantiles(self.seconds, n=20, method="inclusive")[-1]


class Totals:
    """The totals of all tasks since somebody listens."""

    def __init__(self) -> None:
        self.tasks: dict[str, Total] = {}
        #: The names of the workers that have sent something.
        self.workers: set[str] = set()
        self.open: OrderedDict[str, tuple[str, bool]] = OrderedDict()

    def add(self, event: dict[str, Any]) -> None:
        """Count an event."""
        kind, worker = event["type"], event.get("hostname", "")
        if kind == "worker-offline":
            self.workers.discard(worker)
        else:
            self.workers.add(worker)
        if kind not in COUNTED:
            return
        name, runs = self.open.pop(event["uuid"], (EARLIER, False))
        name = event.get("name") or name
        total = self.tasks.setdefault(name, Total())
        total.counts[COUNTED[kind]] += 1
        total.running += (kind == "task-started") - runs
        if kind == "task-succeeded" and event.get("runtime") is not None:
            total.seconds.append(event["runtime"])
        if kind in ("task-failed", "task-retried"):
            total.error = text(str(event.get("exception", "")))
        if kind not in ENDS:
            self.open[event["uuid"]] = name, kind == "task-started"
        if len(self.open) > MOST:
            name, runs = self.open.popitem(last=False)[1]
            self.tasks[name].running -= runs

    def as_json(self) -> dict[str, Any]:
        """Return the totals for JSON."""
        return {
            "workers": sorted(self.workers),
            "tasks": {
                name: {
                    **{count: total.counts[count] for count in COUNTED.values()},
                    "running": total.running,
                    "success_rate": total.success_rate,
                    "mean_seconds": total.mean,
                    "p95_seconds": total.p95,
                    "last_error": total.error,
                }
                for name, total in sorted(self.tasks.items())
            },
        }


class Switch:
    """Lets workers send events, and undoes that for those that did not send any before.

    Args:
        app: The app.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.switched: set[str] = set()

    def on(self, timeout: float = 1) -> None:
        """Ask all workers to send events, also those that have started since the last time.

        Args:
            timeout: Seconds to wait for their answers.
        """
        answers = self.app.control.broadcast("enable_events", reply=True, timeout=timeout) or []
        for answer in answers:
            for worker, said in answer.items():
                if "already" not in str(said.get("ok", "already")):
                    self.switched.add(worker)

    def off(self) -> None:
        """Ask those workers to stop that have begun because of us."""
        if self.switched:
            self.app.control.broadcast("disable_events", destination=sorted(self.switched))
            self.switched.clear()
