"""What beat does around each tick: it touches its liveness file, and stops if it was told to."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import platforms
from celery.beat import Service
from celery.signals import before_task_publish

from ..letters.letter import PERIODIC_HEADER
from ..worker import liveness

#: Seconds that a send may take after a stop signal; to an unreachable broker it would take minutes.
GRACE = 3


def prepare(sender: Service) -> None:
    """Prepare beat when it starts."""
    stop_after_a_tick(sender)
    touch_at_each_tick(sender)
    before_task_publish.connect(mark)  # a process that runs beat sends nothing else


def stop_after_a_tick(sender: Service) -> None:
    """Make a stop signal end beat soon, but not during a send; a second signal ends it at once.

    Celery's own handler closes the schedule at any point (celery.apps.beat,
    `install_sync_handler`). In the middle of a send, that causes an error, which beat either logs
    and does not end, or which ends it with a traceback: this happened to 12 of 120 beats that were
    stopped while they sent to RabbitMQ (Celery 5.7).
    """
    scheduler: Any = sender.scheduler
    is_busy = is_stopping = False

    def stop(*_: object) -> None:
        nonlocal is_stopping
        if is_stopping or not is_busy:
            raise SystemExit
        is_stopping = True
        sender.stop()
        platforms.signals.arm_alarm(GRACE)

    def finished(function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that no signal interrupts it, and beat can stop after it."""

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal is_busy
            is_busy = True
            try:
                wait = function(*args, **kwargs)
            finally:
                is_busy = False
            return 0 if is_stopping else wait

        return run

    # `Service.start` calls this between two sleeps.
    scheduler.tick, scheduler._do_sync = finished(scheduler.tick), finished(scheduler._do_sync)
    platforms.signals.update(SIGTERM=stop, SIGINT=stop, SIGALRM=stop)


def mark(headers: dict[str, Any], **_: Any) -> None:
    """Add a header to a message that says that beat has sent it."""
    headers[PERIODIC_HEADER] = "yes"


def touch_at_each_tick(sender: Service) -> None:
    """Make beat tick often, and touch its liveness file at each tick."""
    if not liveness.is_watched():
        return
    scheduler: Any = sender.scheduler
    scheduler.max_interval = min(scheduler.max_interval, liveness.INTERVAL)
    tick = scheduler.tick

    @wraps(tick)
    def touch_and_tick(*args: Any, **kwargs: Any) -> Any:
        liveness.touch()
        return tick(*args, **kwargs)

    scheduler.tick = touch_and_tick
