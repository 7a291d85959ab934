"""The interface by which a task learns that it was cancelled."""

from __future__ import annotations

from typing import Any


class Cancellation:
    """The default, by which no task is cancelled; parts of an app replace it by their own class."""

    #: Whether a task is also stopped when it reports its progress.
    at_reports = False

    def check(self, task: Any) -> None:
        """Stop a task that was cancelled.

        Args:
            task: The task that is about to start, or that reports its progress.

        Raises:
            Ignore: It was cancelled.
        """
