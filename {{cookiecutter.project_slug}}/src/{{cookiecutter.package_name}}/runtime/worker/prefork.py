"""The prefork pool, without Celery's loss of tasks that a process has not yet reported."""

from __future__ import annotations

import gc
from typing import Any

from celery.concurrency import asynpool, prefork
from celery.worker import state

#: Celery's types lack it.
AsynPool: Any = asynpool.AsynPool


class Processes(AsynPool):  # type: ignore[misc]
    """A prefork pool that forgets no task when the worker's connection is lost, or when it stops.

    Celery forgets tasks that a process has received but not yet reported as started
    (celery/concurrency/asynpool.py, `flush`), although they run. Their messages go back and run
    again, and a stopping process waits 30 seconds for somebody to read its result
    (billiard/pool.py), which happened in one deployment out of five.
    """

    def flush(self) -> None:
        """Forget the tasks that no process has received."""
        jobs = {number: job for number, job in self._cache.items() if job._write_to}
        super().flush()
        for number, job in jobs.items():
            if not job.ready():
                self._cache[number] = job
                state.active_requests.add(job._accept_callback.__self__)


class TaskPool(prefork.TaskPool):
    """Celery's pool of processes of these classes."""

    Pool = Processes

    def on_start(self) -> None:
        """Start the processes.

        They share the memory of what is there now, as long as nobody writes to it. A garbage
        collection would write to all of it, so this is left out of every one from now on:
        https://docs.python.org/3/library/gc.html#gc.freeze
        """
        gc.freeze()
        super().on_start()
