"""The threads pool, which keeps the worker's connection while it waits for its last tasks."""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

from celery.concurrency import thread
from kombu.asynchronous import get_event_loop

#: Seconds between two rounds of the timers; heartbeats are seconds apart.
INTERVAL = 0.5


class TaskPool(thread.TaskPool):
    """Celery's pool of threads, during whose stop the timers of the event loop go on.

    Without heartbeats, RabbitMQ would close the connection of a worker that waits for a long task,
    and another worker would run the task as well. Celery lets the timers go on for prefork alone
    (celery/concurrency/prefork.py, `TaskPool.on_stop`).
    """

    def on_stop(self) -> None:
        """Wait for the running tasks."""
        loop: Any = get_event_loop()
        if loop is None:  # not every transport has one
            super().on_stop()
            return
        # Windows cannot import it, and has no event loop.
        from celery.concurrency.prefork import _run_ready_callbacks  # type: ignore[attr-defined]

        is_over = Event()

        def turn() -> None:
            while not is_over.wait(INTERVAL):
                loop.fire_timers()
                # Acknowledge tasks that have ended meanwhile, in case this worker is killed.
                _run_ready_callbacks(loop)

        stand_in = Thread(target=turn, name="timers", daemon=True)
        stand_in.start()
        try:
            super().on_stop()
        finally:
            is_over.set()
            stand_in.join()
