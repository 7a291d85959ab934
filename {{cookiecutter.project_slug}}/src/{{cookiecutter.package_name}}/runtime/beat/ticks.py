"""What beat does around each tick: it touches its liveness file, and stops if it was told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import beat, platforms
from celery.apps import beat as command
from celery.signals import before_task_publish
from celery.utils.imports import load_extension_class_names, symbol_by_name

from ..letters.letter import PERIODIC_HEADER
from ..logs import setup
from ..worker import liveness

#: Seconds that a send may take after a stop signal; to an unreachable broker it would take minutes.
GRACE = 3

#: What a mixin for schedulers derives from, for the type checker alone.
Base: Any = beat.Scheduler if TYPE_CHECKING else object


class Stoppable(Base):  # type: ignore[misc]
    """The mixin that touches the liveness file at each tick, and lets beat end between two ticks.

    Celery's own handler of signals closes the schedule at any point (celery/apps/beat.py,
    `install_sync_handler`). In the middle of a send, that causes an error, which beat either logs
    and does not end, or which ends it with a traceback: this happened to 12 of 120 beats that were
    stopped while they sent to RabbitMQ (Celery 5.7).
    """

    app: Any
    #: Seconds between two looks at the schedule, at most.
    max_interval: Any
    #: Whether it sends or writes, which no signal may interrupt.
    is_busy = False
    #: Whether a signal has asked it to end.
    is_stopping = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if liveness.is_watched() or self.app.notices.is_wanted:
            self.max_interval = min(self.max_interval, liveness.INTERVAL)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; return the seconds until the next look, none when beat is to end."""
        if liveness.is_watched():
            liveness.touch()
        self.app.notices.ticked()
        self.app.observer.set("beat_last_tick_timestamp_seconds", time.time())
        with self.uninterrupted():
            wait: float = super().tick(*args, **kwargs)
        return 0 if self.is_stopping else wait

    def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        """Send what an entry says, and let the observer note how late that is."""
        if entry.last_run_at:
            late = -entry.schedule.remaining_estimate(entry.last_run_at).total_seconds()
            self.app.observer.set("beat_lateness_seconds", max(0.0, late))
        return super().apply_async(entry, *args, **kwargs)

    def sync(self) -> None:
        """Write down what was sent."""
        with self.uninterrupted():
            super().sync()

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let a signal wait until the block has ended, or for `GRACE` seconds."""
        outer, self.is_busy = self.is_busy, True
        try:
            yield
        finally:
            self.is_busy = outer

    def obey(self, service: beat.Service) -> None:
        """Let a signal end a service when nothing is being sent, but soon; a second one at once."""
        stop = partial(self.stop, service)
        platforms.signals.update(SIGTERM=stop, SIGINT=stop, SIGALRM=stop)

    def stop(self, service: beat.Service, *_: object) -> None:
        """Handle a signal.

        Raises:
            SystemExit: Nothing is being sent, or it is not the first signal.
        """
        is_first, self.is_stopping = not self.is_stopping, True
        if is_first:
            service.stop()
        platforms.signals.arm_alarm(GRACE)  # Python ignores an exit that is raised in a `__del__`
        if not (is_first and self.is_busy):
            raise SystemExit


def stoppable(scheduler: Any) -> Any:
    """Return a class of schedulers with `Stoppable`, under its own name."""
    if not isinstance(scheduler, type) or issubclass(scheduler, Stoppable):
        return scheduler
    attributes = {"__module__": scheduler.__module__, "__doc__": scheduler.__doc__}
    return type(scheduler.__name__, (Stoppable, scheduler), attributes)


class Service(beat.Service):
    """Celery's loop, which makes every scheduler stoppable: the option --scheduler may name any."""

    def get_scheduler(
        self, lazy: bool = False, extension_namespace: str = "celery.beat_schedulers"
    ) -> Any:
        """Return a scheduler."""
        names: Any = load_extension_class_names(extension_namespace)
        given: Any = self.scheduler_cls  # a name or a class
        self.scheduler_cls = stoppable(symbol_by_name(given, aliases=dict(names)))
        return super().get_scheduler(lazy, extension_namespace)


class Beat(command.Beat):
    """The command `celery beat`."""

    Service = Service
    quiet: bool

    def run(self) -> Any:
        """Run until the end, without a greeting if every line has to be JSON."""
        app: Any = self.app
        self.quiet = self.quiet or setup.writes_json(app.settings.log_format)
        return super().run()

    def start_scheduler(self) -> Any:
        """Run until the end, and let no alarm kill the process while it ends, which takes longer.

        Python restores the default of every signal that it handles, which for this one is death.
        """
        try:
            return super().start_scheduler()
        finally:
            platforms.signals.ignore("SIGALRM")  # type: ignore[arg-type]  # takes names

    def install_sync_handler(self, service: beat.Service) -> None:
        """Let a signal end beat at once until `prepare` takes over: nothing has been sent yet.

        Celery's own handler closes the scheduler. While the scheduler is being made, that makes a
        second one in the middle of the first, and beat ends with a traceback: so did 12 of 12 that
        were stopped as soon as they had written "beat: Starting..." (Celery 5.7).
        """
        platforms.signals.update(SIGTERM=leave, SIGINT=leave, SIGALRM=leave)


def leave(*_: object) -> None:
    """Handle a signal before there is a scheduler, and again if that has not ended the process.

    Raises:
        SystemExit: Always.
    """
    platforms.signals.arm_alarm(GRACE)
    raise SystemExit


def prepare(sender: beat.Service) -> None:
    """Prepare beat when it starts, also if a worker runs it (`celery worker --beat`)."""
    scheduler: Any = sender.scheduler
    if isinstance(scheduler, Stoppable):
        scheduler.obey(sender)
    before_task_publish.connect(mark)  # a process that runs beat sends nothing else


def mark(headers: dict[str, Any], **_: Any) -> None:
    """Add a header to a message that says that beat has sent it."""
    headers[PERIODIC_HEADER] = "yes"
