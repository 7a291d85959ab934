"""The context of a task: a correlation id and a tenant, carried in the headers of every message.

    with context.bind(correlation_id=request_id, tenant="acme"):
        send.delay(7)

The task, everything it publishes (subtasks, chains, chord bodies, error callbacks, retries) and all
its log lines have the same two values. A task that was published without a correlation id uses the
id of the first task of its tree, Celery's `root_id`.

A running task reads the values from its own request, which Celery keeps while the task runs, in
every pool. Nothing is set before a task or reset after it, so nothing can leak into the next one.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
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

#: When a message was sent, in seconds since 1970; the timestamp of AMQP has whole seconds only.
SENT_HEADER = "x-sent-at"

#: Allowed values. They appear in log lines, which a space or a newline could forge.
VALUE = re.compile(r"[A-Za-z0-9_.:@/+=-]{1,128}")


class Context(NamedTuple):
    """The two values; an unknown one is None."""

    correlation_id: str | None = None
    tenant: str | None = None


NOTHING = Context()

_bound: ContextVar[Context] = ContextVar("context", default=NOTHING)


class _Handling(threading.local):
    """The headers of the message that a worker's main process is handling."""

    headers: Mapping[str, Any] = MappingProxyType({})


_handling = _Handling()


def is_valid(value: object) -> bool:
    """Whether a value may be bound: 1 to 128 ASCII letters, digits and `_.:@/+=-`.

    Check values from outside, such as a request's header, and replace those that are not valid.
    """
    return isinstance(value, str) and VALUE.fullmatch(value) is not None


def current() -> Context:
    """Return the bound values, completed by those that the running task was published with."""
    return current_with_id()[0]


def current_with_id() -> tuple[Context, str | None]:
    """Return the same, and the id of the task that runs or is being handled."""
    bound = _bound.get()
    if task := get_current_worker_task():
        request = task.request
        own = request.id
        published = of_message(request.headers or {}, request.root_id or own)
    elif headers := _handling.headers:
        own, published = headers.get("id"), of_message(headers, headers.get("root_id"))
    else:
        return bound, None
    correlation_id = bound.correlation_id or published.correlation_id
    return Context(correlation_id, bound.tenant or published.tenant), own


def of_message(headers: Mapping[str, Any], root_id: object) -> Context:
    """Return the context of a message; a value that is not valid counts as absent.

    Args:
        headers: The headers of the message.
        root_id: The id of the first task of the message's tree.
    """
    correlation_id, tenant = headers.get(CORRELATION_ID_HEADER), headers.get(TENANT_HEADER)
    if not is_valid(correlation_id):
        correlation_id = root_id if is_valid(root_id) else None
    return Context(correlation_id, tenant if is_valid(tenant) else None)


@contextmanager
def bind(correlation_id: str | None = None, tenant: str | None = None) -> Iterator[None]:
    """Publish and log with these values inside a `with` block.

    Args:
        correlation_id: An id for everything that belongs together, such as that of a web request.
        tenant: The customer or group whose work it is.

    A value that is left out stays unchanged.

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
    """Call a function in the context of a message when no task runs (`worker/request.py`)."""
    outer = _handling.headers  # the solo pool may handle one message inside another
    _handling.headers = headers
    try:
        return call(*args, **kwargs)
    finally:
        _handling.headers = outer


class AMQP(amqp.AMQP):
    """Celery's AMQP class, which adds the context to every message.

    A handler of the signal `before_task_publish` would take twice the time and does not get the
    app.
    """

    Connection = Connection

    def Router(self, queues: Any = None, create_missing: bool | None = None) -> Router:  # noqa: N802
        """Return the router of the app."""
        if create_missing is None:
            create_missing = self.app.conf.task_create_missing_queues
        return Router(self.routes, queues or self.queues, create_missing, app=self.app)

    @cached_property
    def send_task_message(self) -> Callable[..., Any]:
        """Return the function that sends a message."""
        app: Any = self.app  # Celery's types do not know ours
        send: Callable[..., Any] = app.traces.around(super().send_task_message)
        return send

    def as_task_v2(self, *args: Any, **kwargs: Any) -> Any:
        """Return a message with the context; headers that the caller gives win over it."""
        message = super().as_task_v2(*args, **kwargs)
        now = time.time()
        message.properties["timestamp"] = int(now)  # for the age of the oldest message
        message.headers[SENT_HEADER] = now
        correlation_id, tenant = current()
        if correlation_id:
            message.headers[CORRELATION_ID_HEADER] = correlation_id
        if tenant:
            message.headers[TENANT_HEADER] = tenant
        return message
