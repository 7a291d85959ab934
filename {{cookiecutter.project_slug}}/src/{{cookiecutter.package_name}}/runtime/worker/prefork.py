"""The pool of processes: Celery's, which spares what a process has got but not yet reported."""

from __future__ import annotations

import gc
from typing import Any

from celery.concurrency import asynpool, prefork
from celery.worker import state

from . import local_pool

#: Celery's types lack it.
AsynPool: Any = asynpool.AsynPool


class Processes(AsynPool):  # type: ignore[misc]
    """Processes that are fed by an event loop, where a lost connection and a stop forget no task.

    Celery forgets what a process has got but not yet reported as started
    (celery/concurrency/asynpool.py, `flush`), although it runs: its message goes back and runs
    again, and a stopping process waits 30 seconds for somebody to take note of its result
    (billiard/pool.py). One deploy in five did.
    """

    def flush(self) -> None:
        """Forget the tasks that no process has got."""
        jobs = {number: job for number, job in self._cache.items() if job._write_to}
        super().flush()
        for number, job in jobs.items():
            if not job.ready():
                self._cache[number] = job
                state.active_requests.add(job._accept_callback.__self__)


class TaskPool(prefork.TaskPool):
    """Celery's pool of processes of these classes."""

    Pool = Processes
    BlockingPool = local_pool.Pool  # where the broker has no event loop, as on files: forgets none

    def on_start(self) -> None:
        """Start the processes.

        They share the memory of what is there now, as long as nobody writes to it. A garbage
        collection would write to all of it, so this is left out of every one from now on:
        https://docs.python.org/3/library/gc.html#gc.freeze
        """
        gc.freeze()
        super().on_start()
