"""How a task learns that somebody has cancelled it."""

from __future__ import annotations

from typing import Any


class Cancellation:
    """Nobody can cancel a task for good, unless a part of the app brings a class of its own."""

    #: Whether a task is also stopped where it reports its progress.
    at_reports = False

    def check(self, task: Any) -> None:
        """Stop a task that was cancelled.

        Args:
            task: The task that is about to start, or that reports its progress.

        Raises:
            Ignore: It was cancelled.
        """
