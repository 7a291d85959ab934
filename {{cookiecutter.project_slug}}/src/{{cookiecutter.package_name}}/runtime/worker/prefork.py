"""The pool of processes: Celery's, which spares what a process has got but not yet reported."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

from celery.concurrency import prefork
from celery.worker import state

from . import local_pool


class TaskPool(prefork.TaskPool):
    """A pool of processes that forgets no task when its connection is lost, or when it stops.

    Celery forgets what a process has got but not yet reported as started
    (celery/concurrency/asynpool.py, `flush`), although it runs: its message goes back and runs
    again, and a stopping process waits 30 seconds for somebody to take note of its result
    (billiard/pool.py). One deploy in five did.
    """

    BlockingPool = local_pool.Pool  # only used where the broker has no event loop

    def on_start(self) -> None:
        """Start the processes.

        They share the memory of what is there now, as long as nobody writes to it. A garbage
        collection would write to all of it, so this is left out of every one from now on:
        https://docs.python.org/3/library/gc.html#gc.freeze
        """
        gc.freeze()
        super().on_start()
        pool: Any = self  # Celery's types lack most of what is used here
        if pool.flush:  # without an event loop, as on files, the pool forgets nothing
            pool.flush = partial(flush_others, pool._pool)


def flush_others(processes: Any) -> None:
    """Forget the tasks that no process has got."""
    jobs = {number: job for number, job in processes._cache.items() if job._write_to}
    processes.flush()
    for number, job in jobs.items():
        if not job.ready():
            processes._cache[number] = job
            state.active_requests.add(job._accept_callback.__self__)
