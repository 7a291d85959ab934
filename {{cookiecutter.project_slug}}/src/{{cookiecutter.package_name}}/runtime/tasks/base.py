"""The base classes of tasks: when to retry, how long to wait, and when to give up.

    @app.task(name="module.function")
    def function(...): ...

`BaseTask` is the base of every task that names no other. Such a task runs at least once: it is
acknowledged when it has ended, so it may run twice. Make its effect idempotent. `AtMostOnceTask` is
for work that had better be lost than done twice. A task that failed for good becomes a dead letter
(`letters/writing.py`).
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

#: The longest wait in seconds; a server that asks for a longer one is called again sooner.
MAX_RETRY_AFTER = 3600

#: Errors after which a task is retried, in addition to those of the project's servers, which are in
#: `app.transient_errors`.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (TransientError, ConnectionError, TimeoutError)

#: The sub-package of the worker; its modules are named, so that publishers do not import them.
WORKER = f"{__package__.rpartition('.')[0]}.worker"


class BaseTask(Task[Any, Any]):
    """Retry after transient errors; fail after any other error, or when no retries are left."""

    autoretry_for = TRANSIENT_ERRORS
    dont_autoretry_for = (PermanentError,)
    # Log these without a traceback, which the dead letter has.
    throws = (PermanentError,)
    # Wait a random time of up to 2, 4, 8 ... 600 s, so that retries do not come in waves
    # (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "full jitter").
    max_retries = 8
    retry_backoff = 2
    retry_backoff_max = 600
    retry_jitter = True
    # Seconds before a task whose process was killed runs again; Celery's default is 180.
    default_retry_delay = 5
    # How many runs may end with the death of the task's process or its whole worker (by a signal or
    # out of memory), or with the worker cut off from the broker. They use up no retry.
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
        """Pass the queue of a task to the router, and refuse a coroutine function.

        Celery would never run the coroutine.

        Raises:
            ConfigurationError: The function is `async def`.
        """
        super().__init_subclass__(**kwargs)
        own = {name: vars(cls)[name] for name in ("queue", "priority") if name in vars(cls)}
        if own:
            cls.destination = {**cls.destination, **own}
            for name in own:
                delattr(cls, name)
        function = getattr(cls, "_decorated_fun", cls.run)  # the function below `@app.task`
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"the task {function.__module__}.{function.__qualname__} is `async def`, which"
                " Celery cannot run: make it `def`, and run its coroutine with aio.run()"
            )

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Add the errors of the project's servers to those after which a task is retried.

        Celery calls this method before it reads them (celery/app/base.py, `_task_from_fun`).
        """
        if cls.autoretry_for is TRANSIENT_ERRORS:
            cls.autoretry_for = transient_errors(app)

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Stop a task that kills its worker over and over, because the broker never would.

        Raises:
            Reject: The limit is reached, and the task fails; or it could not be sent again.
            Ignore: The task was sent again with the new count; or it was cancelled.
        """
        self.refuse_cancelled()
        once_more, crashes = self.app.runs.judge(self.request)
        if crashes >= self.max_crashes:
            raise Reject(TooManyCrashesError(f"its worker died {crashes} times"), requeue=False)
        if not once_more:
            return
        # Tasks that only ran beside the culprit must not start beside it again. And the culprit
        # must not kill this worker before its old message is acknowledged, or it would run once
        # more: hence at least a second.
        wait = max(1, self.default_retry_delay * random.uniform(1, 3)) if crashes > 1 else 1  # noqa: S311
        logger.warning("The worker of %s[%s] was lost (%d so far)", self.name, task_id, crashes)
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
        """Stop the task if it was cancelled; a long task may call this now and then.

        Raises:
            Ignore: It was cancelled.
            Retry: The result store cannot be asked now; the task is put back.
        """
        try:
            self.app.cancellation.check(self)
        except transient_errors(self.app) as error:
            later = NotNowError(f"the result store failed: {error}", self.default_retry_delay)
            raise self.put_back(later) from error

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Write a state; a cancelled task may end at a report of progress.

        Raises:
            Ignore: It was cancelled.
        """
        if self.app.cancellation.at_reports:
            self.refuse_cancelled()
        super().update_state(*args, **kwargs)

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> str:
        """Send the task with these arguments when the transaction is committed; return its id."""
        return self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(
        self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any
    ) -> str:
        """Send the task on commit, or at once outside of a transaction, and return its id.

        The task gets the context of this call. Celery's own `DjangoTask` returns no id and uses the
        context at the time of the commit
        (https://docs.celeryq.dev/en/stable/django/first-steps-with-django.html).

        Args:
            args: Positional arguments of the task.
            kwargs: Keyword arguments of the task.
            options: Options of `apply_async`.
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
        """Retry as Celery does, but never before a server's `Retry-After` has passed.

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
        """Send the running task again unchanged, after the wait that the error asks for.

        The count of retries stays the same, because only failures use up retries.
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
        Reject: The broker refuses it; the old message then goes back to its queue and is not lost.
    """
    try:
        task.apply_async()
    except Exception as refused:
        raise Reject(refused, requeue=True) from refused


def transient_errors(app: Any) -> tuple[type[Exception], ...]:
    """Return the errors after which tasks of an app are retried."""
    return (*TRANSIENT_ERRORS, *getattr(app, "transient_errors", ()))


def send_in_context(bound: context.Context, send: partial[Any]) -> None:
    """Send a task with the context of the original call."""
    with context.bind(*bound):
        send()


class AtMostOnceTask(BaseTask):
    """A task that is never started twice; it had better be lost than done twice.

    Like any other task, it is acknowledged when it has ended. If the project has a Redis, the start
    is recorded there (`redis/runs.py`). So if a process or worker dies, the message comes back: the
    task starts if it had not done so before, and otherwise becomes a dead letter. Without a Redis,
    a message that is delivered again becomes a dead letter, because the task may have started. A
    person decides whether to replay it.
    """

    retry_on_worker_lost = False
    autoretry_for = ()
    max_retries = 0

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Refuse to start a task that was started before.

        Raises:
            Reject: An earlier run was lost with its worker.
            Ignore: An earlier run has succeeded, or the task was cancelled.
            Retry: An earlier run is still going on, or Redis cannot be asked; the task is put back.
        """
        self.refuse_cancelled()
        runs = self.app.runs
        try:
            earlier = runs.start(self.request)
        except runs.errors as error:
            later = NotNowError(f"the store failed: {error}", self.default_retry_delay)
            raise self.put_back(later) from error
        match earlier:
            case Earlier.LOST:
                lost = RunLostError("its worker died, and how far the task got is unknown")
                raise Reject(lost, requeue=False)
            case Earlier.RUNS:
                raise self.put_back(NotNowError("the task is running already", runs.lease))
            case Earlier.ENDED:
                raise Ignore("the task has run already")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, and renew the lease of its run meanwhile."""
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        try:
            with self.app.runs.alive(self.request):
                return self.run(*args, **kwargs)
        except Retry:  # raised by the task's own `self.retry`
            self.app.runs.forget(self.request)
            raise

    def after_return(self, status: str, retval: Any, task_id: str, *_: Any) -> None:
        """Record a success; a failure is not recorded, since its dead letter may not exist yet."""
        if status == "SUCCESS":
            self.app.runs.end(self.request)
