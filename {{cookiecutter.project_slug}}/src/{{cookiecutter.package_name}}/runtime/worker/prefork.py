"""The prefork pool, without Celery's loss of tasks that a process has not yet reported."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.concurrency import prefork
from celery.worker import state

from . import local_pool


class TaskPool(prefork.TaskPool):
    """A prefork pool that forgets no task when the worker's connection is lost, or when it stops.

    Celery forgets tasks that a process has received but not yet reported as started
    (celery/concurrency/asynpool.py, `flush`), although they run. Their messages go back and run
    again, and a stopping process waits 30 seconds for somebody to read its result
    (billiard/pool.py), which happened in one deployment out of five.
    """

    BlockingPool = local_pool.Pool  # only used where the broker has no event loop

    def on_start(self) -> None:
        """Start the processes."""
        super().on_start()
        pool: Any = self  # Celery's types lack most of what is used here
        if pool.flush:  # without an event loop, as with files, the pool forgets nothing
            pool.flush = partial(flush_others, pool._pool)


def flush_others(processes: Any) -> None:
    """Forget the tasks that no process has received."""
    jobs = {number: job for number, job in processes._cache.items() if job._write_to}
    processes.flush()
    for number, job in jobs.items():
        if not job.ready():
            processes._cache[number] = job
            state.active_requests.add(job._accept_callback.__self__)
