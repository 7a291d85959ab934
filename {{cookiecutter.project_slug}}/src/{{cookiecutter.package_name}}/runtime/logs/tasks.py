"""One line for each run of a task that has ended, written by the main process of its worker.

At level DEBUG there is another one when a task is received, and one when it starts.
"""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import Any

from celery.exceptions import Reject, Retry

from ..context import of_message
from ..letters.messages import queue_of
from ..observer import Observer
from .redaction import text
from .rendering import ENDED

logger = logging.getLogger(__name__)

#: What became of a task, by the type of Celery's event, and the level of its line.
OUTCOMES = {
    "task-started": ("started", logging.DEBUG),
    "task-failed": ("failed", logging.ERROR),
    "task-retried": ("retried", logging.WARNING),
    "task-rejected": ("rejected", logging.WARNING),
    "task-revoked": ("revoked", logging.WARNING),
}

#: A frame of a traceback that is not of the owner's code: of Celery, its libraries, or `runtime/`.
FRAME = re.compile(r"(?m)^  File \"([^\"]+)\", line \d+, in .*\n(?:    .*\n?)*")
LIBRARY = re.compile(r"[\\/]site-packages[\\/](?:celery|kombu|billiard|vine)[\\/]")
RUNTIME = str(Path(__file__).parents[1])

#: The header by which a message belongs to a trace: https://www.w3.org/TR/trace-context/
TRACE = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class TaskLines(Observer):
    """Writes a line for each run that has ended.

    Args:
        worker: The name of the worker.
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker

    def succeeded(self, request: Any, seconds: float | None) -> None:
        """Write the line of a success."""
        if logger.isEnabledFor(logging.INFO):
            fields = self.about(request, "succeeded")
            if seconds is not None:
                fields["seconds"] = round(seconds, 6)
            write(logging.INFO, "task succeeded", fields)

    def received(self, request: Any, **_: Any) -> None:
        """Write that a task was received; a handler of the signal `task_received`."""
        write(logging.DEBUG, "task received", self.about(request, "received"))

    def note(self, request: Any, event: str) -> None:
        """Write the line of another end, or of a start."""
        outcome, level = OUTCOMES.get(event, ("", 0))
        if not outcome or (outcome == "rejected" and request.letter_kept):
            return  # it has failed, and that was written
        if outcome == "failed" and not request.is_news:
            level = logging.INFO
        if not logger.isEnabledFor(level):
            return
        fields = self.about(request, outcome)
        if outcome != "started" and request.time_start is not None:
            fields["seconds"] = round(max(0.0, time.time() - request.time_start), 6)
        fields.update(why(request, outcome))
        write(level, f"task {outcome}", fields)

    def about(self, request: Any, outcome: str) -> dict[str, Any]:
        """Return what every line has."""
        headers = request.request_dict
        fields = {
            "outcome": outcome,
            "task": request.name,
            "task_id": request.id,
            "queue": queue_of(request.delivery_info, {}),
            "attempt": (headers.get("retries") or 0) + 1,
            "worker": self.worker,
        }
        context = of_message(headers, headers.get("root_id") or request.id)
        if context.correlation_id:
            fields["correlation_id"] = context.correlation_id
        if context.tenant:
            fields["tenant"] = context.tenant
        if trace := TRACE.fullmatch(str(headers.get("traceparent") or "")):
            fields["trace_id"] = trace[1]
        return fields


def write(level: int, event: str, fields: dict[str, Any]) -> None:
    """Write a line about a task.

    The logger would look for the place of the call, which takes as long as all the rest.
    """
    if logger.isEnabledFor(level):
        record = logging.LogRecord(logger.name, level, __file__, 0, event, None, None)
        setattr(record, ENDED, fields)
        logger.handle(record)


def why(request: Any, outcome: str) -> dict[str, Any]:
    """Return what a line says about an error."""
    error = request.error
    if error is None:
        return {}
    fields: dict[str, Any] = {}
    cause = error
    if isinstance(error, Retry):
        cause = getattr(error.exc, "exc", error.exc)
        if isinstance(error.when, int | float):
            fields["retry_in"] = round(error.when, 3)
    elif isinstance(error, Reject):
        cause = getattr(error, "reason", None) or error
    if cause is not None:
        fields["error"] = str(getattr(cause, "exc_cls_name", type(cause).__name__))
        fields["error_text"] = text(str(getattr(cause, "text", cause)))
    if request.letter_id:
        fields["dead_letter"] = request.letter_id
    if outcome == "failed" and request.traceback and not isinstance(cause, request.task.throws):
        fields["exception"] = text(of_owner(request.traceback))
    return fields


def of_owner(traceback: str) -> str:
    """Return a traceback without the frames that lead to the owner's code."""
    shorter = FRAME.sub(lambda frame: frame[0] if is_owned(frame[1]) else "", traceback)
    return shorter if FRAME.search(shorter) else traceback


def is_owned(file: str) -> bool:
    """Whether a file belongs to the owner, or to a library of theirs."""
    return not (file.startswith(RUNTIME) or LIBRARY.search(file))
