"""Calls that wait for servers: in few threads, and never for longer than a client may wait.

A thread whose server has fallen silent is given up and ends by the timeouts of its connection. Its
place is taken until then, so silence never makes more threads than `APP_WEB_THREADS`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import TypeVar

from . import problems
from .problems import Problem, away
from .settings import settings

T = TypeVar("T")

#: Seconds until a client hears that a server does not answer. A request with many tasks may take
#: longer, since each of them waits for an answer; a server that is away ends it as soon.
DEADLINE, LONG_DEADLINE = 2.8, 30.0


@cache
def pool() -> ThreadPoolExecutor:
    """Return the threads of this process."""
    return ThreadPoolExecutor(settings().web_threads, thread_name_prefix="server-call")


def start(function: Callable[..., T], *args: object) -> Future[T]:
    """Start a call, in the context of the request."""
    return pool().submit(partial(copy_context().run, function, *args))


def call(function: Callable[..., T], *args: object, deadline: float = 0) -> T:
    """Call what waits for a server, from a thread that may wait too.

    Args:
        function: What to call.
        args: Its arguments.
        deadline: Seconds until it is given up, if not `DEADLINE`.

    Raises:
        Problem: It took too long, or it could not be done.
    """
    started = start(function, *args)
    try:
        return started.result(deadline or DEADLINE)
    except Exception as error:
        raise (problems.of_error(error) if started.done() else late(started)) from error


def late(call: Future[T]) -> Problem:
    """Give a call up, and return what to answer."""
    if call.cancel():
        return away("too many requests wait for a server, and nothing was done")
    return away("a server did not answer in time, and what was asked may or may not be done")
