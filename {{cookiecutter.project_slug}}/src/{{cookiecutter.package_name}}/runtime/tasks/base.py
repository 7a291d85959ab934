"""The base classes of tasks: when to try again, how long to wait, when to give up.

    @app.task(name="module.function")
    def function(...): ...

`BaseTask`, which every task has that names no other, runs at least once: it is acknowledged when it
has ended, so it may run twice. Make its effect idempotent. `AtMostOnceTask` is for what must rather
be lost than done twice. What has failed for good is a dead letter (`letters/writing.py`).
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celery import Task
from celery.canvas import Signature
from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_logger

from .. import context
from ..config.environment import ConfigurationError
from ..errors import (
    NotNowError,
    PermanentError,
    RunLostError,
    TooManyCrashesError,
    TransientError,
)
from ..runs import CRASHES_HEADER, Earlier

if TYPE_CHECKING:
    from ..app import App

logger = get_logger(__name__)

#: Seconds; a server that asks for more is asked again sooner.
MAX_RETRY_AFTER = 3600

#: Errors after which a task is tried again, beside those of the project's servers, which the app
#: knows as `app.transient_errors`.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (TransientError, ConnectionError, TimeoutError)

#: The sub-package of the worker, whose modules a process that only publishes does not import.
WORKER = f"{__package__.rpartition('.')[0]}.worker"


class BaseTask(Task[Any, Any]):
    """Retry transient errors; fail on all others, and when the budget of retries is spent."""

    autoretry_for = TRANSIENT_ERRORS
    dont_autoretry_for = (PermanentError,)
    # Waits of up to 2, 4, 8 ... 600 s: a random part of each, so that tasks do not come in waves
    # (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "full jitter").
    max_retries = 8
    retry_backoff = 2
    retry_backoff_max = 600
    retry_jitter = True
    # Seconds before a task whose process was killed runs again; Celery's default is 180.
    default_retry_delay = 5
    # Runs in which the task's process or its whole worker died, by a signal or for want of memory,
    # or was cut off from the broker. They use up no retry.
    max_crashes = 3
    # The queue and the priority that a task names for itself, see `routes.of_task`.
    destination: Mapping[str, Any] = MappingProxyType({})
    # Without the default priority, which would win over that of a route: see `routes.Router`.
    from_config = tuple(row for row in Task.from_config if row[0] != "priority")

    Strategy = f"{WORKER}.request:strategy"
    Request = f"{WORKER}.request:Request"

    if TYPE_CHECKING:
        app: App

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Hand the queue of a task to the router; refuse a coroutine function.

        Celery would store the coroutine as the result.

        Raises:
            ConfigurationError: The function is `async def`.
        """
        super().__init_subclass__(**kwargs)
        own = {name: vars(cls)[name] for name in ("queue", "priority") if name in vars(cls)}
        if own:
            cls.destination = {**cls.destination, **own}
            for name in own:
                delattr(cls, name)
        function = getattr(cls, "_decorated_fun", cls.run)  # what stands below `@app.task`
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"the task {function.__module__}.{function.__qualname__} is `async def`, which"
                " Celery cannot run: make it `def`, and run its coroutine by aio.run()"
            )

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Add the errors of the project's servers to those after which a task is tried again.

        Celery calls it before it reads them (celery/app/base.py, `_task_from_fun`).
        """
        if cls.autoretry_for is TRANSIENT_ERRORS:
            cls.autoretry_for = transient_errors(app)

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Stop a task that kills its worker, over and over: the broker would never stop.

        Raises:
            Reject: The cap is reached, and the task fails; or it could not be sent.
            Ignore: The task was sent again, with the count; or it was cancelled.
        """
        self.refuse_cancelled()
        once_more, crashes = self.app.runs.judge(self.request)
        if crashes >= self.max_crashes:
            raise Reject(TooManyCrashesError(f"its worker died {crashes} times"), requeue=False)
        if not once_more:
            return
        # Tasks that only ran beside the culprit must not start beside it again. And it must not
        # kill this worker before its old message is acknowledged.
        wait = self.default_retry_delay * random.uniform(1, 3) if crashes > 1 else 1  # noqa: S311
        logger.warning("Worker of %s[%s] was lost, %d so far", self.name, task_id, crashes)
        request = self.request
        again = self.signature_from_request(
            request,
            countdown=wait,
            retries=request.retries,
            headers={**(request.headers or {}), CRASHES_HEADER: crashes},
        )
        send_again(again)
        raise Ignore(f"sent again after {crashes} lost workers")

    def refuse_cancelled(self) -> None:
        """Stop a task that was cancelled; a long one may ask in between.

        Raises:
            Ignore: It was cancelled.
            Retry: Nobody can say now: look later.
        """
        try:
            self.app.cancellation.check(self)
        except transient_errors(self.app) as error:
            later = NotNowError(f"no result store: {error}", self.default_retry_delay)
            raise self.put_back(later) from error

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Write a state; a report of progress may be where a cancelled task ends.

        Raises:
            Ignore: It was cancelled.
        """
        if self.app.cancellation.at_reports:
            self.refuse_cancelled()
        super().update_state(*args, **kwargs)

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> str:
        """Send with these arguments when the transaction is committed, and return the id."""
        return self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(
        self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any
    ) -> str:
        """Send when the transaction is committed, outside of one at once, and return the id.

        The task has the context of this moment. Celery's own `DjangoTask` gives no id back, and
        takes the context of the moment of the commit
        (https://docs.celeryq.dev/en/stable/django/first-steps-with-django.html).

        Args:
            args: Positional arguments of the task.
            kwargs: Keyword arguments of the task.
            options: Those of `apply_async`.
        """
        task_id: str = options.setdefault("task_id", str(uuid4()))
        send = partial(self.apply_async, args, kwargs, **options)
        self.app.on_commit(partial(send_in_context, context.current(), send))
        return task_id

    def retry(
        self,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        exc: Exception | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Retry as Celery does, but never before a server's `Retry-After` is over.

        Raises:
            Reject: It could not be sent; Celery would drop the task (celery/app/task.py, `retry`).
        """
        if isinstance(exc, NotNowError) and not self.request.called_directly:
            raise self.put_back(exc)
        retry_after = getattr(exc, "retry_after", None)
        if retry_after is not None:
            countdown = max(min(retry_after, MAX_RETRY_AFTER), countdown or 0)
        try:
            return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)
        except Reject as refused:
            raise Reject(refused.args[0], requeue=True) from refused

    def put_back(self, error: NotNowError) -> Retry:
        """Send the running task again, with the wait that the error asks for, and as it was.

        The count of retries stays: only errors use them up.
        """
        wait = min(error.retry_after or 0, MAX_RETRY_AFTER)
        request = self.request
        again = self.signature_from_request(request, countdown=wait, retries=request.retries)
        send_again(again)
        when: Any = wait
        return Retry(exc=error, when=when, sig=again)


def send_again(task: Signature[Any]) -> None:
    """Send the running task again.

    Raises:
        Reject: The broker refuses it; the old message goes back to its queue and is not lost.
    """
    try:
        task.apply_async()
    except Exception as refused:
        raise Reject(refused, requeue=True) from refused


def transient_errors(app: Any) -> tuple[type[Exception], ...]:
    """Return the errors after which a task of an app is tried again."""
    return (*TRANSIENT_ERRORS, *getattr(app, "transient_errors", ()))


def send_in_context(bound: context.Context, send: partial[Any]) -> None:
    """Send a task with the context in which that was asked for."""
    with context.bind(*bound):
        send()


class AtMostOnceTask(BaseTask):
    """Never started again: lost rather than done twice.

    It is acknowledged when it has ended, like any other. Where the project has a Redis it leaves a
    mark before it starts (`redis/runs.py`). So whatever dies, its message comes back: it starts if
    it never had, and otherwise is a dead letter. Without a Redis, what is delivered again is a dead
    letter, since it may have been started. A person decides on its replay.
    """

    retry_on_worker_lost = False
    autoretry_for = ()
    max_retries = 0

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Refuse what was started before.

        Raises:
            Reject: There was a run, and its worker is gone.
            Ignore: There was one, which succeeded; or the task was cancelled.
            Retry: It still runs, or nobody can say now: look later.
        """
        self.refuse_cancelled()
        runs = self.app.runs
        try:
            earlier = runs.start(self.request)
        except runs.errors as error:
            later = NotNowError(f"no store: {error}", self.default_retry_delay)
            raise self.put_back(later) from error
        match earlier:
            case Earlier.LOST:
                lost = RunLostError("its worker died; how far it came is unknown")
                raise Reject(lost, requeue=False)
            case Earlier.RUNS:
                raise self.put_back(NotNowError("it runs already", runs.lease))
            case Earlier.ENDED:
                raise Ignore("it has run already")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run, with a sign of life."""
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        try:
            with self.app.runs.alive(self.request):
                return self.run(*args, **kwargs)
        except Retry:  # by its own `self.retry`
            self.app.runs.forget(self.request)
            raise

    def after_return(self, status: str, retval: Any, task_id: str, *_: Any) -> None:
        """Note that the run has succeeded; a failure may not be kept as a dead letter yet."""
        if status == "SUCCESS":
            self.app.runs.end(self.request)
