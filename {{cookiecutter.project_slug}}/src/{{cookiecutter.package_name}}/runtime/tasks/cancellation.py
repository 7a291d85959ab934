"""How a task learns that somebody has cancelled it."""

from __future__ import annotations

from typing import Any


class Cancellation:
    """Nobody can cancel a task for good; `followed.py` and Django's jobs can."""

    #: Whether a task is also stopped where it reports its progress.
    at_reports = False

    def check(self, task: Any) -> None:
        """Stop a task that was cancelled.

        Args:
            task: The task that is about to start, or that reports its progress.

        Raises:
            Ignore: It was cancelled.
        """
