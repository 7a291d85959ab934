"""Caching the results of calls, and falling back to a second service when the first one fails.

Both decorate functions that a task calls:

    @cached(timedelta(hours=1))
    @fallback(rate_from_second_bank)
    def exchange_rate(currency: str) -> str: ...
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery.utils.log import get_logger
from kombu.utils.json import dumps, loads

from ..errors import TransientError
from ..redis import store
from .calls import Key, named, wrap
from .lock import lock

logger = get_logger(__name__)

#: Seconds to wait for another call that is computing the same value.
PATIENCE = 10


def cached(
    expires: timedelta, *, key: Key | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Cache what a function returns, which must be JSON; one call computes it for all others.

    Args:
        expires: How long the value is kept.
        key: What identifies equal calls; by default, all arguments.

    Raises:
        LockedError: Another call takes too long to compute the value; the task is put back.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            name = f"{function.__module__}.{function.__qualname__}"
            place = store.key("cache", name, named(function, key, args, kwargs))
            if (text := store.client().get(place)) is not None:
                return loads(text)
            with lock(place, wait=PATIENCE):
                if (text := store.client().get(place)) is not None:  # computed in the meantime
                    return loads(text)
                value = function(*args, **kwargs)
                store.client().set(place, dumps(value), px=expires)
                return value

        return wrap(function, call)

    return decorate


def fallback(
    second: Callable[..., Any],
    *,
    on: tuple[type[Exception], ...] = (TransientError, ConnectionError, TimeoutError),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Call a second function with the same arguments if the first one fails.

    Use it for reading only: a first service that timed out may still have done what it was asked.

    Args:
        second: The function to fall back to.
        on: The errors after which it is called; by default, an open circuit is one of them.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except on as error:
                logger.warning("%s failed, falling back to %s: %s", function, second, error)
                return second(*args, **kwargs)

        return wrap(function, call)

    return decorate
