"""Running coroutines in tasks, on one event loop per worker process, in a thread of its own.

    @app.task(name="prices.fetch")
    def fetch(urls: list[str]) -> None:
        pages = aio.run(fetch_all(urls), timeout=30)

All tasks of a process share the loop, so objects that belong to a loop, such as an
`httpx.AsyncClient`, can be kept between tasks. A coroutine that blocks holds up all others, so do
blocking work in ordinary code.
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

#: Seconds that `run` waits for a cancelled coroutine to clean up.
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
        """Cancel running coroutines, and end the thread."""
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(CLEAN_UP)


loop_thread = PerProcess(LoopThread, LoopThread.close)


def run(coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
    """Run a coroutine, in the context of the calling task, and return its result.

    It is cancelled when it times out, or when the task reaches its soft time limit.

    Args:
        coroutine: The coroutine.
        timeout: Seconds; by default the soft time limit of the task, in every pool.

    Raises:
        TimeoutError: It took longer and was cancelled. The task will be retried.
        RuntimeError: Coroutines cannot run here: inside another one, or under a greenlet pool.
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
    """Run a coroutine in a context for a limited time, and signal when it has ended."""
    try:
        with context.bind(*ours):
            async with asyncio.timeout(seconds):
                return await coroutine
    finally:
        ended.set()


def refusal() -> str | None:
    """Return why no coroutine can run here, or None."""
    for pool in pools.GREENLET_POOLS & sys.modules.keys():
        if pools.is_patched(pool):
            # The loop would be a greenlet in the only thread, where every other greenlet then
            # seems to run inside the loop: `asyncio.run` fails there, and so does Django's ORM.
            return (
                f"coroutines cannot run under the {pool} pool: use blocking calls, which let"
                " other greenlets run, or start the worker with --pool threads"
            )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return None
    return "aio.run() was called inside a coroutine and would wait for ever: use await instead"
