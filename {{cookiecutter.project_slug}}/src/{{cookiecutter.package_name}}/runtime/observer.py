"""The interface by which something learns what becomes of the tasks of a worker, such as metrics."""

from __future__ import annotations

from typing import Any


class Observer:
    """The default, which notes nothing; parts of an app replace it by their own class.

    The worker's main process calls it, in every pool; in some pools several threads do so at once.
    It must not raise errors, and should take microseconds, because the main process is what limits
    the throughput of short tasks.
    """

    def note(self, request: Any, event: str) -> None:
        """Note what has happened to a task, where Celery would send an event, if it sent any.

        Args:
            request: The worker's request, whose `error_class` names the error of a failed task.
            event: The type of Celery's event, such as `task-failed`, but not `task-succeeded`.
        """

    def succeeded(self, request: Any, seconds: float | None) -> None:
        """Note that a task has succeeded.

        Args:
            request: The worker's request.
            seconds: How long it ran; None if its process was lost after it had stored its result.
        """
