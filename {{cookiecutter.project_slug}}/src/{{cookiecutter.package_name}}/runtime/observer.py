"""The interface by which something learns what a process does with tasks, such as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from celery import current_app

if TYPE_CHECKING:
    from .letters.letter import DeadLetter


class Observer:
    """The default, which notes nothing; parts of an app replace it by their own class.

    The worker's main process calls the first two methods, in every pool; in some pools several
    threads do so at once. Any process may call the others. None may raise an error, and each should
    take microseconds, because the main process is what limits the throughput of short tasks.
    """

    def note(self, request: Any, event: str) -> None:
        """Note what has happened to a task, where Celery would send an event, if it sent any.

        Args:
            request: The worker's request, whose `error_class` names the error of a failed task.
            event: The type of Celery's event, such as `task-failed`, but not `task-succeeded`.
        """

    def succeeded(self, request: Any, seconds: float | None) -> None:
        """Note that a task has succeeded.

        Args:
            request: The worker's request.
            seconds: How long it ran; None if its process was lost after it had stored its result.
        """

    def count(self, what: str, number: float = 1, **labels: str) -> None:
        """Note that something else has happened, such as the renewal of a lease.

        Args:
            what: Its name: a key of `observe/metrics.py`, `COUNTED_ELSEWHERE`.
            number: How often.
            labels: What kind of it has happened; only words of which there are few.
        """

    def set(self, what: str, value: float, **labels: str) -> None:
        """Note a value that goes up and down.

        Args:
            what: Its name: a key of `observe/metrics.py`, `GAUGES`.
            value: The value.
            labels: What it is the value of.
        """


class Several(Observer):
    """Lets several observers note the same.

    Args:
        observers: The observers.
    """

    def __init__(self, *observers: Observer) -> None:
        self.observers = observers

    def note(self, request: Any, event: str) -> None:
        """Let each note what has happened to a task."""
        for observer in self.observers:
            observer.note(request, event)

    def succeeded(self, request: Any, seconds: float | None) -> None:
        """Let each note a success."""
        for observer in self.observers:
            observer.succeeded(request, seconds)

    def count(self, what: str, number: float = 1, **labels: str) -> None:
        """Let each count something else."""
        for observer in self.observers:
            observer.count(what, number, **labels)

    def set(self, what: str, value: float, **labels: str) -> None:
        """Let each note a value."""
        for observer in self.observers:
            observer.set(what, value, **labels)


class WebMetrics:
    """The metrics of web processes; by default, there are none."""

    @property
    def token(self) -> str:
        """Return the token of those who may read them, or nothing, and then nobody may."""
        return ""

    def begin(self) -> None:
        """Count from now on what this process and its children do.

        Raises:
            ConfigurationError: A setting is wrong.
        """

    def text(self) -> str:
        """Return the figures as Prometheus reads them."""
        return ""


class Traces:
    """What follows a task from process to process; by default, nothing does."""

    def around(self, send: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that sends a message, and tells those who follow it.

        Args:
            send: Sends a message; Celery's `send_task_message`.
        """
        return send

    def web(self, api: Any, instrument: str) -> None:
        """Follow the requests of a web framework.

        Args:
            api: The app of the framework.
            instrument: The function that does so, as `module:function`.
        """

    def ids(self) -> Iterable[tuple[str, str]]:
        """Return the names and values by which a log line tells what it belongs to."""
        return ()


class Notices:
    """What tells people that something is wrong; by default, nobody is told."""

    #: Whether somebody is told.
    is_wanted = False

    def failed(self, letter: DeadLetter) -> None:
        """Count a task that has failed for good."""

    def ticked(self) -> None:
        """Note that beat looks at its schedule."""


#: What other apps, such as those of a test, have.
NOTHING = Observer()
NO_TRACES = Traces()
NO_NOTICES = Notices()


def observer() -> Observer:
    """Return the observer of the current app, for code that has no app at hand."""
    found: Observer = getattr(current_app, "observer", NOTHING)
    return found


def traces() -> Traces:
    """Return what follows the tasks of the current app, for code that has no app at hand."""
    found: Traces = getattr(current_app, "traces", NO_TRACES)
    return found


def notices() -> Notices:
    """Return what tells people, for code that has no app at hand."""
    found: Notices = getattr(current_app, "notices", NO_NOTICES)
    return found
