"""Who a task works for: a correlation id and a tenant, carried in the headers of every message.

    with context.bind(correlation_id=request_id, tenant="acme"):
        send.delay(7)

The task, all that it publishes (subtasks, chains, chord bodies, error callbacks, retries) and every
log line of it have the same two values. A task that was published without an id takes the id of the
first task of its tree, Celery's `root_id`.

In a task the values are read from its own request, which Celery keeps for as long as the task runs,
in every pool. Nothing is set before a task or reset after it, so nothing can leak into the next.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from celery._state import get_current_worker_task
from celery.app import amqp

from .connection import Connection
from .routes import Router

T = TypeVar("T")

# AMQP's own `correlation_id` is the id of the task.
CORRELATION_ID_HEADER = "x-correlation-id"
TENANT_HEADER = "x-tenant"

#: What a value may look like: it stands in log lines, where a space or a newline could forge one.
VALUE = re.compile(r"[A-Za-z0-9_.:@/+=-]{1,128}")


class Context(NamedTuple):
    """The two values; what is not known is None."""

    correlation_id: str | None = None
    tenant: str | None = None


NOTHING = Context()

_bound: ContextVar[Context] = ContextVar("context", default=NOTHING)


class _Handling(threading.local):
    """The headers of the message that a worker's main process handles."""

    headers: Mapping[str, Any] = MappingProxyType({})


_handling = _Handling()


def is_valid(value: object) -> bool:
    """Whether a value may be bound: 1 to 128 ASCII letters, digits and `_.:@/+=-`.

    For what comes from outside, such as a request's header: replace what is not valid.
    """
    return isinstance(value, str) and VALUE.fullmatch(value) is not None


def current() -> Context:
    """Return what is bound here, completed by what the running task was published with."""
    bound = _bound.get()
    if task := get_current_worker_task():
        request = task.request
        published = of_message(request.headers or {}, request.root_id or request.id)
    elif headers := _handling.headers:
        published = of_message(headers, headers.get("root_id"))
    else:
        return bound
    return Context(
        bound.correlation_id or published.correlation_id, bound.tenant or published.tenant
    )


def of_message(headers: Mapping[str, Any], root_id: object) -> Context:
    """Return the context of a message; a value that is not valid counts as absent.

    Args:
        headers: Its headers.
        root_id: The id of the first task of its tree.
    """
    correlation_id, tenant = headers.get(CORRELATION_ID_HEADER), headers.get(TENANT_HEADER)
    if not is_valid(correlation_id):
        correlation_id = root_id if is_valid(root_id) else None
    return Context(correlation_id, tenant if is_valid(tenant) else None)


@contextmanager
def bind(correlation_id: str | None = None, tenant: str | None = None) -> Iterator[None]:
    """Publish and log with these values inside a `with` block.

    Args:
        correlation_id: What belongs together, for example the id of a web request.
        tenant: Whose work it is.

    Both may be left out, and then stay as they are.

    Raises:
        ValueError: A value is not valid; see `is_valid`.
    """
    for name, value in (("correlation_id", correlation_id), ("tenant", tenant)):
        if value is not None and not is_valid(value):
            raise ValueError(
                f"{name}={value!r:.150} is refused: use 1 to 128 letters, digits and _.:@/+=-"
            )
    outer = _bound.get()
    token = _bound.set(Context(correlation_id or outer.correlation_id, tenant or outer.tenant))
    try:
        yield
    finally:
        _bound.reset(token)


def handling(headers: Mapping[str, Any], call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call what logs and publishes for a message where no task runs, see `worker/request.py`."""
    outer = _handling.headers  # of a message that the solo pool handles inside of this one
    _handling.headers = headers
    try:
        return call(*args, **kwargs)
    finally:
        _handling.headers = outer


class AMQP(amqp.AMQP):
    """Let every message of an app carry the context.

    A handler of the signal `before_task_publish` costs twice the time, and has no app.
    """

    Connection = Connection

    def Router(self, queues: Any = None, create_missing: bool | None = None) -> Router:  # noqa: N802
        """Return the router of the app."""
        if create_missing is None:
            create_missing = self.app.conf.task_create_missing_queues
        return Router(self.routes, queues or self.queues, create_missing, app=self.app)

    def as_task_v2(self, *args: Any, **kwargs: Any) -> Any:
        """Return a message; a header that the caller gives wins, as Celery adds it later."""
        message = super().as_task_v2(*args, **kwargs)
        message.properties["timestamp"] = int(time.time())  # how long a queue has waited
        correlation_id, tenant = current()
        if correlation_id:
            message.headers[CORRELATION_ID_HEADER] = correlation_id
        if tenant:
            message.headers[TENANT_HEADER] = tenant
        return message


@cache
def extend_log_records() -> None:
    """Let every log record of this process have the context.

    Records get the attributes `correlation_id` and `tenant`, `-` where there is none: any format or
    formatter can use them. A factory, since a filter would miss the loggers of others.
    """
    create = logging.getLogRecordFactory()

    def with_context(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = create(*args, **kwargs)
        correlation_id, tenant = current()
        record.correlation_id = correlation_id or "-"
        record.tenant = tenant or "-"
        return record

    logging.setLogRecordFactory(with_context)
