"""What a worker's main process does with a message, in the context of that message.

No task runs there, but it logs that one was received, and it answers for a task whose process was
killed: it logs, publishes the retry or the error callbacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.worker import request
from celery.worker.strategy import default

from .context import handling


def strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Handle messages as Celery does, with their context."""
    handle = default(task, app, consumer, **options)

    def handle_message(message: Any, *args: Any, **kwargs: Any) -> Any:
        return handling(message.headers or {}, handle, message, *args, **kwargs)

    return handle_message


class Request(request.Request):
    """A message that was taken."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Handle the end of a task that took too long."""
        handling(self.request_dict, super().on_timeout, soft, timeout)

    def on_failure(self, *args: Any, **kwargs: Any) -> None:
        """Handle the end of a task that failed, whose process may be lost."""
        handling(self.request_dict, super().on_failure, *args, **kwargs)
