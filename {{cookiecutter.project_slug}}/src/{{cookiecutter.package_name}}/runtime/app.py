"""The Celery app of a project, with the guarantees of this package.

    app = create("shop", config.load(), queues=QUEUES, routes=ROUTES, tasks=["shop.tasks"])

What differs between projects is passed in here, and the rest of the package reads it from the app:
`app.broker`, `app.budget`, `app.dead_letters`, `app.runs`, `app.cancellation`, `app.observer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, overload

from celery import Celery
from celery.signals import beat_init
from kombu.utils.imports import symbol_by_name

from . import __version__, discovery
from .config import machine
from .logs import installing
from .observer import (
    NO_NOTICES,
    NO_TRACES,
    NOTHING,
    Notices,
    Observer,
    Several,
    Traces,
    WebMetrics,
)
from .runs import Runs
from .tasks.cancellation import Cancellation

if TYPE_CHECKING:
    from kombu import Queue

    from .broker import Broker
    from .budget import Budget
    from .config.settings import Settings
    from .letters.store import Store
    from .parts import Part
    from .tasks.base import BaseTask

T = TypeVar("T", bound="BaseTask")

#: Bootsteps of a worker, as names, so that a process that only publishes does not import them.
WORKER_STEPS = (
    f"{__package__}.worker.checks:StartupChecks",
    f"{__package__}.worker.liveness:Heartbeat",
    f"{__package__}.logs.worker:Lines",
    f"{__package__}.notices.starting:Telling",
)

CONSUMER_STEPS = (f"{__package__}.worker.events:EventsOnRequest",)


class App(Celery):
    """A Celery app whose tasks run at least once, or at most once if their class says so."""

    #: The configuration, from which Celery's own is derived.
    settings: Settings
    #: The kind of broker.
    broker: Broker
    #: How long tasks and a shutdown may take.
    budget: Budget
    #: The name of the class of the store of dead letters, as `module:class`. It is a name, because
    #: a process that only publishes does not import the class.
    dead_letter_store: str
    #: Records of earlier runs of a message.
    runs: Runs
    #: How a task learns that it was cancelled.
    cancellation: Cancellation
    #: What learns what becomes of the tasks of a worker.
    observer: Observer = NOTHING
    #: What its web processes count.
    web_metrics = WebMetrics()
    #: What follows its tasks from process to process.
    traces: Traces = NO_TRACES
    #: What tells people that something is wrong, and the function that returns the place where all
    #: processes count what to tell, as `module:function`, if there is one.
    notices: Notices = NO_NOTICES
    notices_place: str = ""
    #: Calls a function when the caller's transaction is committed.
    on_commit: Callable[[Callable[[], object]], object]
    #: The other parts of the project, such as a database.
    parts: Sequence[Part]

    # Attributes of Celery's app that name the classes to use: those of this package.
    amqp_cls = f"{__package__}.context:AMQP"
    task_cls = f"{__package__}.tasks.base:BaseTask"
    #: The class of `celery beat`; the part for beat has its own.
    beat_cls = "celery.apps.beat:Beat"

    @cached_property
    def Beat(self) -> Any:  # noqa: N802
        """Return the class of `celery beat`."""
        name: Any = self.beat_cls  # Celery's types know that of a class, and not its name
        return self.subclass_with_self(name)

    @property
    def dead_letters(self) -> type[Store]:
        """Return the class of stores in which dead letters are kept."""
        store: type[Store] = symbol_by_name(self.dead_letter_store)
        return store

    @property
    def transient_errors(self) -> tuple[type[Exception], ...]:
        """Return the errors of the project's servers after which a task is retried."""
        return tuple(error for part in self.parts for error in part.transient_errors)

    @property
    def checks(self) -> dict[str, Callable[[], object]]:
        """Return what checks that a server of the project answers, by the name of the server."""
        return {name: check for part in self.parts for name, check in part.checks().items()}

    def observe(self, observer: Observer) -> None:
        """Let another observer learn what this process does, in place of one of its class."""
        known = getattr(self.observer, "observers", (self.observer,))
        others = [each for each in known if type(each) not in (Observer, type(observer))]
        self.observer = Several(*others, observer) if others else observer

    @cached_property
    def keeps_results_here(self) -> bool:
        """Whether results are on the server of this machine."""
        return machine.is_own(self.conf.result_backend)

    def send_task(self, *args: Any, **options: Any) -> Any:
        """Send a task, and let the observer count an error.

        Raises:
            NotRunningError: Its result would be on the server of this machine, which does not run.
                Celery raises a `RuntimeError` after many tries, with several tracebacks.
        """
        is_asked_for = self.keeps_results_here and not options.get("ignore_result")
        try:
            if is_asked_for and not machine.socket_path().exists():
                from .config.not_running import NotRunningError  # which imports click

                raise NotRunningError
            return super().send_task(*args, **options)
        except Exception as error:
            self.observer.count("task_publish_errors", exception=type(error).__name__)
            raise

    def bugreport(self) -> str:
        """Return the text of `celery report`, with the version of this package."""
        return f"{super().bugreport()}\nruntime:{__version__}\n"

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def task(self, *, base: type[T], **options: Any) -> Callable[[Callable[..., Any]], T]: ...
        @overload
        def task(self, **options: Any) -> Callable[[Callable[..., Any]], BaseTask]: ...
        def task(self, **options: Any) -> Any:
            """Return a decorator that turns a function into a task."""


def at_once(function: Callable[[], object]) -> None:
    """Call a function at once, because there is no transaction to wait for."""
    function()


def start_telling(sender: Any, **_: Any) -> None:
    """Let beat tell people; a handler of the signal `beat_init`."""
    from .notices import starting  # which a mere publisher does not need

    starting.of_beat(sender)


def create(
    package: str,
    settings: Settings,
    *,
    queues: Sequence[Queue],
    routes: Sequence[Any],
    tasks: Sequence[str],
    parts: Sequence[Part] = (),
    set_as_current: bool = True,
) -> App:
    """Return the app of a project.

    Args:
        package: The name of the project's package, where `celery -A` finds the app.
        settings: The configuration, with the broker and the time budget.
        queues: All queues, as they are declared on the broker.
        routes: What Celery's `task_routes` takes.
        tasks: Packages whose modules hold tasks, such as `shop.tasks`.
        parts: Other parts of the project; if two set the same attribute, the last one wins.
        set_as_current: Whether `celery.current_app` is this app.

    Raises:
        ConfigurationError: A setting is wrong or missing.
    """
    broker: Broker = settings.broker
    modules = [*discovery.modules(*tasks), *(name for part in parts for name in part.tasks)]
    app = broker.app_class()(package, include=modules, set_as_current=set_as_current)
    if set_as_current:
        app.set_default()  # in every thread; otherwise it would be current in this one only
    app.settings, app.broker, app.budget = settings, broker, settings.budget
    app.parts = parts
    app.dead_letter_store, app.runs = broker.dead_letter_store, Runs()
    app.cancellation, app.on_commit = Cancellation(), at_once
    app.loader.override_backends = settings.backends
    app.conf.update(settings.for_celery())
    app.conf.update(
        task_queues=tuple(queues),
        task_routes=tuple(routes),
        worker_consumer=f"{__package__}.worker.consumer:Consumer",
    )
    for part in parts:
        part.install(app)
    app.steps["worker"].update(WORKER_STEPS)
    steps = (*CONSUMER_STEPS, *broker.consumer_steps)
    app.steps["consumer"].update(steps)
    installing.install()
    beat_init.connect(start_telling)
    return app
