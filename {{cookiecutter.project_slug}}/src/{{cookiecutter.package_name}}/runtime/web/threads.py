"""Calls to servers from web processes: in few threads, and with a deadline for each call.

A call that misses its deadline is abandoned; its thread ends when its connection times out. Until
then it counts against `APP_WEB_THREADS`, so silent servers never lead to more threads than that.
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

#: Seconds until a client is told that a server does not answer. A request with many tasks may take
#: longer, because each task waits for an answer; an unreachable server ends it just as soon.
DEADLINE, LONG_DEADLINE = 2.8, 30.0


@cache
def pool() -> ThreadPoolExecutor:
    """Return the thread pool of this process."""
    return ThreadPoolExecutor(settings().web_threads, thread_name_prefix="server-call")


def start(function: Callable[..., T], *args: object) -> Future[T]:
    """Start a call, in the context of the request."""
    return pool().submit(partial(copy_context().run, function, *args))


def call(function: Callable[..., T], *args: object, deadline: float = 0) -> T:
    """Call a function that waits for a server, from a thread that may block.

    Args:
        function: What to call.
        args: Its arguments.
        deadline: Seconds until the call is abandoned; by default `DEADLINE`.

    Raises:
        Problem: It took too long, or it failed.
    """
    started = start(function, *args)
    try:
        return started.result(deadline or DEADLINE)
    except Exception as error:
        raise (problems.of_error(error) if started.done() else late(started)) from error


def late(call: Future[T]) -> Problem:
    """Abandon a call, and return the problem to answer."""
    if call.cancel():
        return away("too many requests are waiting for a server, so this one was not started")
    return away("a server did not answer in time, so the request may or may not have taken effect")
