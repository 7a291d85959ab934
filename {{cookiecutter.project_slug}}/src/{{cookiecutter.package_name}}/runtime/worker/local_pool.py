"""Prefork processes that no signal ends while they hold a lock.

If the broker has no event loop, as with files, Celery's processes share one pipe and its locks. A
SIGTERM to the whole process group ends them all at once. If one of them holds a lock at that
moment, the lock is never released, and the worker waits for it for ever (billiard/pool.py,
`_help_stuff_finish`).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from billiard import pool
from billiard.common import TERM_SIGNAL, pickle_loads

#: Seconds after which a waiting process checks whether it should end.
PATIENCE = 1.0


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay the signal that ends this process until the block has ended."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {TERM_SIGNAL})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Results:
    """The queue of a process for its results."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def put(self, result: Any) -> None:
        """Write a result without interruption."""
        with uninterrupted():
            self.queue.put(result)


class Worker(pool.Worker):
    """A process of the pool that reads and writes without interruption."""

    def _make_recv_method(self, pipe: Any) -> Callable[[float], tuple[bool, Any]]:
        def receive(_: float) -> tuple[bool, Any]:
            with uninterrupted():
                if not pipe._rlock.acquire(timeout=PATIENCE):
                    return False, None
                try:
                    if not pipe._reader.poll(PATIENCE):
                        return False, None
                    body = pipe._reader.recv_bytes()
                finally:
                    pipe._rlock.release()
            return True, pickle_loads(body)

        return receive

    def on_loop_start(self, pid: int) -> None:
        """Send results in one piece."""
        self.outq: Any = Results(self.outq)


class Pool(pool.Pool):
    """A pool of such processes."""

    Worker = Worker
