"""A circuit breaker: after several failures in a row, nobody calls a server for a while.

    response = Circuit("crm").call(client.get, url)

All workers share its state. While it is open, a task is put back and uses up no retry. After the
pause, one call tries again; if it succeeds, the circuit closes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from math import ceil
from typing import TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitBreakerError, CircuitRedisStorage

from .. import budget
from ..errors import NotNowError, RateLimitedError, TransientError
from ..observer import observer
from ..redis import store

T = TypeVar("T")

#: Errors that count as failures. A server that asks to wait, or refuses, has not failed.
FAILURES = (TransientError, ConnectionError, TimeoutError, SoftTimeLimitExceeded)


class CircuitOpenError(NotNowError):
    """Too many calls have failed, so no call is made for now."""


def is_answer(error: BaseException) -> bool:
    """Whether an error shows that the server itself works."""
    return isinstance(error, RateLimitedError) or not isinstance(error, FAILURES)


class Circuit:
    """A circuit that all workers share.

    Args:
        name: The name of the server or service.
        failures: How many failures in a row open it.
        pause: Seconds until one call may try again.
    """

    def __init__(self, name: str, *, failures: int = 5, pause: float = 60) -> None:
        self.name = name
        self.failures = failures
        self.pause = pause

    def call(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function unless the circuit is open.

        Raises:
            CircuitOpenError: It is open.
        """
        storage = CircuitRedisStorage(
            STATE_CLOSED, store.client(), namespace=store.key("circuit", self.name)
        )
        # One breaker per call, because pybreaker holds a lock while it calls: threads and greenlets
        # sharing a breaker would call one after the other.
        breaker = CircuitBreaker(
            fail_max=self.failures,
            reset_timeout=self.pause,
            exclude=[is_answer],
            state_storage=storage,
            throw_new_error_on_trip=False,
        )
        trial = storage.state != STATE_CLOSED
        if trial and not self.may_try():
            raise self.open_error(storage.opened_at)
        try:
            value = breaker.call(function, *args, **kwargs)
        except CircuitBreakerError:
            raise self.open_error(storage.opened_at) from None
        except Exception as error:
            self.note("answered" if is_answer(error) else "failed", storage.state != STATE_CLOSED)
            raise
        else:
            self.note("answered", is_open=False)
            return value
        finally:
            if trial:
                store.client().delete(self.trial_key)

    @property
    def trial_key(self) -> str:
        """The key by which only one call tries again; pybreaker would let all of them."""
        return store.key("circuit", self.name, "trial")

    def may_try(self) -> bool:
        """Return whether this call is the one that may try."""
        longest = ceil(budget.in_force().hard)
        return bool(store.client().set(self.trial_key, 1, nx=True, ex=longest))

    def open_error(self, opened_at: datetime | None) -> CircuitOpenError:
        """Return the error for a call that is not made; it says how long to wait."""
        self.note("refused", is_open=True)
        age = (datetime.now(UTC) - opened_at).total_seconds() if opened_at else 0
        wait = max(1.0, self.pause - age) * random.uniform(1, 1.2)  # noqa: S311
        return CircuitOpenError(f"the circuit {self.name!r} is open", wait)

    def note(self, outcome: str, is_open: bool) -> None:
        """Let the observer note how a call ended, and whether the circuit is open after it."""
        observer().count("circuit_calls", circuit=self.name, outcome=outcome)
        observer().set("circuit_open", is_open, circuit=self.name)
