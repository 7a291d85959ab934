"""Tasks that report their progress."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypedDict, TypeVar

from .base import BaseTask

T = TypeVar("T")

PROGRESS = "PROGRESS"

#: The least seconds between two reports; the last report is always written.
INTERVAL = 0.5


class Progress(TypedDict):
    """The content of `AsyncResult.info` while the state is `PROGRESS`."""

    current: int
    total: int
    percent: float
    message: str


class ProgressTask(BaseTask):
    """A task that keeps its result, and writes its progress there while it runs.

    Use `bind=True` to get `self`, and then `for row in self.track(rows, len(rows)): ...`.
    """

    ignore_result = False
    track_started = True

    def progress(self, current: int, total: int, message: str = "") -> None:
        """Report that `current` of `total` are done."""
        percent = round(100 * current / total, 1) if total else 100.0
        report = Progress(current=current, total=total, percent=percent, message=message)
        self.update_state(state=PROGRESS, meta=dict(report))

    def track(self, items: Iterable[T], total: int, message: str = "") -> Iterator[T]:
        """Yield the items, and report the progress at most every `INTERVAL` seconds."""
        reported = float("-inf")
        for done, item in enumerate(items):
            if time.monotonic() - reported >= INTERVAL:
                self.progress(done, total, message)
                reported = time.monotonic()
            yield item
        self.progress(total, total, message)
