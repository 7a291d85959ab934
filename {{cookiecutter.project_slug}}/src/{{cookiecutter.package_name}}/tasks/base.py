"""The base class of every task: when to try again, how long to wait, when to give up.

    @app.task(base=BaseTask, name="module.function")
    def function(...): ...

A task may run twice: late acknowledgement means at least once. Make its effect idempotent.
"""

from __future__ import annotations

import inspect
from datetime import datetime
from typing import Any

from celery import Task

from ..config import ConfigurationError

#: Seconds; a server that asks for more is asked again sooner.
MAX_RETRY_AFTER = 3600


class TransientError(Exception):
    """It may work later: try again with exponential backoff and jitter."""


class RateLimitedError(TransientError):
    """The other side asks for patience.

    Args:
        message: What happened.
        retry_after: Seconds to wait, if the other side said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after)  # all arguments, so that it can be pickled
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.args[0])


class PermanentError(Exception):
    """It will never work: fail at once. Any error that is not named transient is treated so."""


class BaseTask(Task[Any, Any]):
    """Retry transient errors; fail on all others, and when the budget of retries is spent."""

    autoretry_for = (TransientError, ConnectionError, TimeoutError)
    dont_autoretry_for = (PermanentError,)
    # Waits of up to 2, 4, 8 ... 600 s: a random part of each, so that tasks do not come in waves
    # (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "full jitter").
    max_retries = 8
    retry_backoff = 2
    retry_backoff_max = 600
    retry_jitter = True
    # Seconds before a task whose process was killed runs again; Celery's default is 180.
    default_retry_delay = 5

    # Names, since a process that only publishes needs neither.
    Strategy = "{{ cookiecutter.package_name }}.worker:strategy"
    Request = "{{ cookiecutter.package_name }}.worker:Request"

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
        """Retry as Celery does, but never before a server's `Retry-After` is over."""
        retry_after = getattr(exc, "retry_after", None)
        if retry_after is not None:
            countdown = max(min(retry_after, MAX_RETRY_AFTER), countdown or 0)
        return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)
