"""The base classes of tasks: when to try again, how long to wait, when to give up.

    @app.task(base=BaseTask, name="module.function")
    def function(...): ...

`BaseTask` runs at least once: it is acknowledged when it has ended, so it may run twice. Make its
effect idempotent. `AtMostOnceTask` is for what must rather be lost than done twice. What has failed
for good is a dead letter (`runtime/letters/dead_letters.py`).
"""

from __future__ import annotations

import inspect
import random
from datetime import datetime
from typing import Any

{% if not cookiecutter.__django %}
from celery import Task
{% endif %}
from celery.canvas import Signature
from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_logger
{% if cookiecutter.__store %}
from redis import exceptions as redis
{% endif %}
{% if cookiecutter.__sql %}
from sqlalchemy import exc as sql
{% endif %}

from ..config.environment import ConfigurationError
{% if cookiecutter.__django %}
from ..django.task import TRANSIENT_ERRORS as DATABASE_ERRORS
from ..django.task import DjangoTask as Task
{% endif %}
from ..errors import (
    NotNowError,
    PermanentError,
    RunLostError,
    TooManyCrashesError,
    TransientError,
)
{% if cookiecutter.__store %}
from ..guards import runs
from ..guards.leases import LEASE
from ..guards.runs import Earlier
{% endif %}
from ..worker import suspects
from ..worker.suspects import CRASHES_HEADER
{% if cookiecutter.__followed %}
from . import followed
{% endif %}

logger = get_logger(__name__)

#: Seconds; a server that asks for more is asked again sooner.
MAX_RETRY_AFTER = 3600

#: Errors after which a task is tried again.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    TransientError,
    ConnectionError,
    TimeoutError,
{% if cookiecutter.__django %}
    *DATABASE_ERRORS,
{% endif %}
{% if cookiecutter.__store %}
    # A Redis that is away, in a failover or full: these are no errors of Python's own classes.
    redis.ConnectionError,
    redis.OutOfMemoryError,
    redis.ReadOnlyError,
    redis.TimeoutError,
{% endif %}
{% if cookiecutter.__sql %}
    # A database that is away, a deadlock, a lock that was waited for in vain; no connection free.
    sql.OperationalError,
    sql.TimeoutError,
{% endif %}
)


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

    # Names, since a process that only publishes needs neither.
    Strategy = "{{ cookiecutter.package_name }}.runtime.worker.request:strategy"
    Request = "{{ cookiecutter.package_name }}.runtime.worker.request:Request"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a coroutine function, of which Celery would store the coroutine as the result.

        Raises:
            ConfigurationError: The function is `async def`.
        """
        super().__init_subclass__(**kwargs)
        function = getattr(cls, "_decorated_fun", cls.run)  # what stands below `@app.task`
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"the task {function.__module__}.{function.__qualname__} is `async def`, which"
                " Celery cannot run: make it `def`, and run its coroutine by aio.run()"
            )

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Stop a task that kills its worker, over and over: the broker would never stop.

        Raises:
            Reject: The cap is reached, and the task fails; or it could not be sent.
            Ignore: The task was sent again, with the count{{ "; or it was cancelled" if cookiecutter.__cancels }}.
        """
{% if cookiecutter.__cancels %}
        self.refuse_cancelled()
{% endif %}
        once_more, crashes = suspects.judge(self.request)
        if crashes >= self.max_crashes:
            raise Reject(TooManyCrashesError(f"its worker died {crashes} times"), requeue=False)
        if not once_more:
            return
        # Tasks that only ran beside the culprit must not start beside it again. And it must not
        # kill this worker before its old message is acknowledged.
        wait = self.default_retry_delay * random.uniform(1, 3){{ "" if cookiecutter.__store else " if crashes > 1 else 1" }}  # noqa: S311
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

{% if cookiecutter.__followed %}
    def refuse_cancelled(self) -> None:
        """Stop a task that was cancelled before it starts.

        Raises:
            Ignore: It was.
            Retry: The result store is away: look later.
        """
        try:
            followed.check(self)
        except TRANSIENT_ERRORS as error:
            later = NotNowError(f"no result store: {error}", self.default_retry_delay)
            raise self.put_back(later) from error

{% endif %}
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


{% include "letters/" ~ ("redis" if cookiecutter.__store else "rabbitmq") ~ "/at_most_once.py" %}
