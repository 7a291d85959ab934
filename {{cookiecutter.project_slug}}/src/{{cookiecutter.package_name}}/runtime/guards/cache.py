"""Results of calls that are kept for a while, and a second service for when the first one fails.

For a function that a task calls:

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

#: Seconds to wait for another call that computes the same value.
PATIENCE = 10


def cached(
    expires: timedelta, *, key: Key | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Keep what a function returns, which must be JSON; one call computes it for all.

    Args:
        expires: How long it is kept.
        key: What makes two calls the same; without it, all arguments.

    Raises:
        LockedError: Another call takes long to compute it; a task goes back and waits.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            name = f"{function.__module__}.{function.__qualname__}"
            place = store.key("cache", name, named(function, key, args, kwargs))
            if (text := store.client().get(place)) is not None:
                return loads(text)
            with lock(place, wait=PATIENCE):
                if (text := store.client().get(place)) is not None:  # computed while this waited
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
    """Call a second function, with the same arguments, when the first one fails.

    For what is only read: a first service that timed out may still have done what it was told.

    Args:
        second: The other function.
        on: The errors after which it is called; an open circuit is one of them.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except on as error:
                logger.warning("%s failed, so the second one is asked: %s", function, error)
                return second(*args, **kwargs)

        return wrap(function, call)

    return decorate
