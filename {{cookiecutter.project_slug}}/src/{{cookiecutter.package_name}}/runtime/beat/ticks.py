"""What beat does around each look at its schedule: it gives a sign of life, and may stop."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import platforms
from celery.beat import Service
from celery.signals import before_task_publish

from ..letters.letter import PERIODIC_HEADER
from ..worker import liveness

#: Seconds in which a send may end after a signal: one to a broker that is away goes on for minutes.
GRACE = 3


def prepare(sender: Service) -> None:
    """Prepare beat when it starts."""
    stop_after_a_tick(sender)
    touch_at_each_tick(sender)
    before_task_publish.connect(mark)  # a process with beat sends nothing else


def stop_after_a_tick(sender: Service) -> None:
    """Let a signal end beat when nothing is being sent, but soon; a second signal ends it at once.

    Celery's own handler closes the schedule wherever it is
    (celery.apps.beat, `install_sync_handler`). In the middle of a send that is an error, which
    beat logs in place of ending, or which ends it with a traceback: 12 of 120 beats that were
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
        """Let no signal interrupt a function; a beat that stops does not sleep after it."""

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

    # What `Service.start` calls between two sleeps.
    scheduler.tick, scheduler._do_sync = finished(scheduler.tick), finished(scheduler._do_sync)
    platforms.signals.update(SIGTERM=stop, SIGINT=stop, SIGALRM=stop)


def mark(headers: dict[str, Any], **_: Any) -> None:
    """Note on a message that beat has sent it."""
    headers[PERIODIC_HEADER] = "yes"


def touch_at_each_tick(sender: Service) -> None:
    """Let beat look at its schedule often, and give a sign of life."""
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
