"""Records as lines: one JSON object each, or a line for people."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from celery import current_app
from celery._state import get_current_worker_task
from structlog.contextvars import get_contextvars
from structlog.dev import ConsoleRenderer

from ..context import current_with_id
from ..letters.messages import queue_of
from ..observer import traces
from ..printable import escaped
from . import redaction
from .installing import FIELDS
from .settings import Format

#: The attribute of a record with the fields of a task that has ended, which hold no text of others.
ENDED = "ended_task"

#: What every record has; the rest comes from `extra`.
USUAL = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "taskName", "correlation_id", "tenant", "context", FIELDS, ENDED)
}

#: What is known of the task that runs.
OF_TASK = (
    *("task", "task_id", "queue", "attempt", "correlation_id", "tenant", "worker"),
    *("trace_id", "span_id"),
)

#: What a task may not set: a field of this name gets a `_` behind its name.
OWN = frozenset(
    (
        *("timestamp", "level", "logger", "event", "exception", "stack", "outcome"),
        *OF_TASK,
    )
)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line shows of a record, in its order."""
    event: dict[str, Any] = {
        "timestamp": timestamp(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    ended = getattr(record, ENDED, None)
    if ended is not None:
        return {**event, "event": record.msg, **ended}
    message = record.msg if isinstance(record.msg, str) and not record.args else said(record)
    event["event"] = redaction.text(message)
    event.update(of_task())
    for name, value in given(record):
        place = redaction.text(str(name))
        while place in OWN or place in event:
            place += "_"
        hidden = redaction.is_secret(place) and value is not None
        event[place] = redaction.HIDDEN if hidden else redaction.shown(value)
    if record.exc_info and record.exc_info[0] is not None:
        event["exception"] = redaction.text(formatted(record.exc_info))
    if record.stack_info:
        event["stack"] = redaction.text(record.stack_info)
    return event


def timestamp(moment: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601, in UTC with milliseconds."""
    second = int(moment)
    return f"{of_second(second)}.{int((moment - second) * 1000):03}+00:00"


@lru_cache(maxsize=2)
def of_second(second: int) -> str:
    """Return a second as ISO 8601; most lines are of the same one as the line before."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def said(record: logging.LogRecord) -> str:
    """Return the message of a record, also if its arguments do not fit it."""
    try:
        return record.getMessage()
    except Exception as error:
        arguments = record.args if isinstance(record.args, dict) else list(record.args or ())
        shown = f"{redaction.shown(record.msg)} {redaction.shown(arguments)}"
        return f"{shown} ({type(error).__name__} while formatting)"


def given(record: logging.LogRecord) -> Iterator[tuple[object, Any]]:
    """Yield what the call, or the context of structlog, has added."""
    yield from get_contextvars().items()
    if (fields := getattr(record, FIELDS, None)) is not None:
        yield from fields.items()
        return
    for name, value in vars(record).items():  # a logger that was made before ours
        if name not in USUAL:
            yield name, value


def of_task() -> Iterator[tuple[str, str | int]]:
    """Yield what is known of the task that runs or is being handled, and its context."""
    (correlation_id, tenant), task_id = current_with_id()
    if task_id:
        if task := get_current_worker_task():
            yield from about(task.request)
        yield "task_id", task_id
    if correlation_id:
        yield "correlation_id", correlation_id
    if tenant:
        yield "tenant", tenant
    yield from traces().ids()


def about(request: Any) -> Iterator[tuple[str, str | int]]:
    """Yield what a line shows of a request."""
    yield "task", str(request.task)
    if queue := queue_of(request.delivery_info or {}, {}):
        yield "queue", queue
    yield "attempt", (request.retries or 0) + 1
    if request.hostname:
        yield "worker", str(request.hostname)


def formatted(exc_info: Any) -> str:
    """Return the traceback of an error, also of one that cannot be shown."""
    try:
        return "".join(traceback.format_exception(*exc_info)).rstrip("\n")
    except Exception as error:
        return f"{exc_info[0]!r} ({type(error).__name__} while formatting)"


class Lines(logging.Formatter):
    """A formatter whose lines are those of a function.

    Args:
        render: Makes a line of fields.
    """

    def __init__(self, render: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self.render = render

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; whatever is in it, there is one."""
        try:
            return self.render(fields_of(record))
        except Exception as error:
            problem = {
                "timestamp": timestamp(record.created),
                "level": "error",
                "logger": __name__,
                "event": f"a line of {record.name} cannot be shown",
                "error": type(error).__name__,
                "place": f"{record.pathname}:{record.lineno}",
            }
            return self.render(problem)


#: Control characters are escaped, also those above 127.
encode = json.JSONEncoder(separators=(", ", ": "), allow_nan=False).encode


def to_json(fields: dict[str, Any]) -> str:
    """Return fields as JSON in one line."""
    return encode(fields)


class People:
    """Lines for people, in colours on a terminal.

    Args:
        colors: Whether to use colours.
    """

    def __init__(self, colors: bool) -> None:
        styles = ConsoleRenderer.get_default_level_styles(colors)
        self.renderer = ConsoleRenderer(
            colors=colors,
            pad_event_to=0,
            sort_keys=False,
            level_styles={level.upper(): style for level, style in styles.items()},
        )

    def __call__(self, fields: dict[str, Any]) -> str:
        """Return a line; a traceback follows in lines of its own."""
        fields = in_words(fields) if "outcome" in fields else behind(fields)
        traces = [fields.pop(name) for name in ("stack", "exception") if name in fields]
        fields |= {"timestamp": fields["timestamp"][11:19], "level": fields["level"].upper()}
        shown = {
            name: escaped(value) if type(value) is str else value for name, value in fields.items()
        }
        line = str(self.renderer(None, "", shown))
        output = io.StringIO(line)
        output.seek(0, io.SEEK_END)
        for trace in traces:
            output.writelines(f"\n  {escaped(part)}" for part in trace.splitlines())
        return output.getvalue()


def behind(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields with those of the task behind what the line says itself."""
    last = [name for name in OF_TASK if name in fields]
    first = {name: value for name, value in fields.items() if name not in last}
    return {**first, **{name: fields[name] for name in last}}


def in_words(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a line about a task, with the main ones in one phrase."""
    fields = {name: value for name, value in fields.items() if name != "logger"}
    event = f"{fields.pop('task')}[{fields.pop('task_id')}] {fields.pop('outcome')}"
    if "seconds" in fields:
        event += f" after {fields.pop('seconds'):.3g} s"
    if "error" in fields:
        event += f": {fields.pop('error')}: {fields.pop('error_text')}"
    if "dead_letter" in fields:
        place = fields.pop("dead_letter")
        event += f"; see `celery -A {current_app.main} dead-letters show {place}`"
    if fields["attempt"] == 1:
        del fields["attempt"]
    return {**fields, "event": event}


def formatter(format: Format, colors: bool | None = None) -> Lines:  # noqa: A002
    """Return the formatter of a format.

    Args:
        format: Which.
        colors: Whether to use colours; by default, on a terminal.
    """
    if format == "json":
        return Lines(to_json)
    if colors is None:
        colors = sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))
    return Lines(People(colors))
