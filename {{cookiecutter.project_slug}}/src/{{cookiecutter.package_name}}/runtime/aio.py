"""Coroutines in tasks: one event loop for each worker process, in a thread of its own.

    @app.task(name="prices.fetch")
    def fetch(urls: list[str]) -> None:
        pages = aio.run(fetch_all(urls), timeout=30)

All tasks of a process share the loop, so what belongs to a loop, such as an `httpx.AsyncClient`,
can be kept between tasks. A coroutine that blocks holds up all others: leave that to ordinary code.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from . import budget, context
from .resources import PerProcess
from .worker import pools

T = TypeVar("T")

#: Seconds that a cancelled coroutine has to clean up before `run` no longer waits for it.
CLEAN_UP = 5


class LoopThread:
    """A thread that runs an event loop."""

    def __init__(self) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        self.stopping = asyncio.Event()
        self.thread = threading.Thread(
            target=asyncio.run, args=(self.serve(started),), name="asyncio", daemon=True
        )
        self.thread.start()
        self.loop = started.result()

    async def serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        """Keep the loop running."""
        started.set_result(asyncio.get_running_loop())
        await self.stopping.wait()

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(CLEAN_UP)


loop_thread = PerProcess(LoopThread, LoopThread.close)


def run(coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
    """Run a coroutine, in the context of the calling task, and return its result.

    It is cancelled when its time is over, or when the task is given up (soft time limit).

    Args:
        coroutine: The coroutine.
        timeout: Seconds; by default the soft time limit of the task, which not every pool enforces.

    Raises:
        TimeoutError: It took longer; it has been cancelled. The task is tried again.
        RuntimeError: It cannot run here: in another coroutine, or under a greenlet pool.
    """
    if sentence := refusal():
        coroutine.close()
        raise RuntimeError(sentence)
    ended = threading.Event()
    seconds = budget.in_force().soft if timeout is None else timeout
    limited = limit(coroutine, seconds, context.current(), ended)
    future = asyncio.run_coroutine_threadsafe(limited, loop_thread().loop)
    try:
        return future.result()
    except BaseException:
        if future.cancel():
            ended.wait(CLEAN_UP)
        raise


async def limit(
    coroutine: Coroutine[Any, Any, T], seconds: float, ours: context.Context, ended: threading.Event
) -> T:
    """Run a coroutine in a context, for a limited time, and tell when it has ended."""
    try:
        with context.bind(*ours):
            async with asyncio.timeout(seconds):
                return await coroutine
    finally:
        ended.set()


def refusal() -> str | None:
    """Say why no coroutine can run here, or nothing."""
    for pool in pools.GREENLET_POOLS & sys.modules.keys():
        if pools.is_patched(pool):
            # The loop would be a greenlet in the only thread, where every other greenlet then
            # seems to run inside the loop: `asyncio.run` fails there, and so does Django's ORM.
            return (
                f"coroutines cannot run under the {pool} pool: use the library's blocking calls,"
                " which do not block there, or a worker with --pool threads"
            )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return None
    return "aio.run() was called in a coroutine, which would wait for ever: use await there"
