"""Idempotent tasks: one effect, however often a task is sent, delivered or retried.

    @app.task(name="billing.charge")
    @idempotent(key="{order_id}")
    def charge(order_id: int, amount: str) -> str: ...

The first call claims the key and runs. Calls that arrive meanwhile go back to the queue; later ones
return what the first one returned. A call that fails releases its claim, so that a retry can run.
When a worker dies, its claim ends with its lease.

A frozen worker (on a suspended machine) may wake up after another one has taken over. Call
`still_mine()` before an effect that must not happen twice and that the other side cannot
deduplicate.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from functools import cache, partial
from typing import Any
from uuid import uuid4

from kombu.utils.json import dumps, loads

from ..errors import NotNowError, TransientError
from ..observer import observer
from ..redis import store
from ..redis.leases import LEASE, renewed
from .calls import Key, named, task_name, wrap

#: Seconds until a waiting call tries again: as long as the claim has lasted, within these bounds.
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 30.0

#: Returns the outcome, or how long another call has been at work, or neither: the claim is ours.
CLAIM = """
local state = redis.call('HMGET', KEYS[1], 'outcome', 'token', 'since')
if state[1] then return { state[1], false } end
local time = redis.call('TIME')
if state[2] then return { false, tostring(time[1] - state[3]) } end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'since', time[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { false, false }
"""

#: Each of these does one thing if the claim is still ours, and returns whether it is.
RENEW = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
FINISH = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'outcome', ARGV[3])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
RELEASE = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


@cache
def script(text: str) -> Any:
    """Return a Redis script, which is sent once and then called by its hash."""
    return store.client().register_script(text)


class LostError(TransientError):
    """Another process may have taken over, because this one was frozen for too long: try again."""


class InProgressError(NotNowError):
    """Another call with the same key is running."""


class Claim:
    """The right to run a call."""

    def __init__(self, key: str, lease: float) -> None:
        self.key = key
        self.lease = round(lease * 1000)
        self.token = uuid4().hex

    def ask(self, text: str, *arguments: object) -> Any:
        """Run one of the scripts."""
        return script(text)([self.key], [self.token, *arguments], client=store.client())

    def take(self) -> list[Any]:
        """Return the outcome of an earlier call in a list, or an empty list if the claim is ours.

        Raises:
            InProgressError: Another call holds the claim.
        """
        outcome, age = self.ask(CLAIM, self.lease)
        if outcome is not None:
            return [loads(outcome)]
        if age is not None:
            wait = min(max(SHORTEST_WAIT, float(age)), LONGEST_WAIT)
            wait *= random.uniform(0.5, 1)  # noqa: S311
            raise InProgressError(f"another call with the key {self.key} is running", wait)
        return []

    def renew(self) -> bool:
        """Renew the lease; return whether the claim is still ours."""
        return bool(self.ask(RENEW, self.lease))

    def check(self) -> None:
        """Renew the lease.

        Raises:
            LostError: The claim is no longer ours.
        """
        if not self.renew():
            raise LostError(f"this worker no longer holds the claim for {self.key}")


_claim: ContextVar[Claim | None] = ContextVar("claim", default=None)


def still_mine() -> None:
    """Make sure that no other worker has taken over the running idempotent call.

    Raises:
        LostError: One may have; the task is retried and then returns the other one's outcome.
    """
    if claim := _claim.get():
        claim.check()


def idempotent(
    key: Key | None = None, *, expires: timedelta = timedelta(days=1), lease: float = LEASE
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give all calls of a task with the same key one effect and one outcome.

    Args:
        key: What identifies equal calls: a template such as `"{order_id}"`, or a function of the
            task's arguments; by default, all arguments.
        expires: How long the outcome is kept; it must be longer than a call may be repeated.
        lease: Seconds after which another worker may take over from a silent one.

    Raises:
        InProgressError: Another call with the key is running; the task is put back and waits.
        LostError: Another worker has taken over; the task is retried and gets that outcome.
    """
    kept = round(expires.total_seconds() * 1000)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            task, name = task_name(function), named(function, key, args, kwargs)
            claim = Claim(store.key("idempotency", task, name), lease)
            count = partial(observer().count, "idempotent_calls", name=task)
            try:
                outcomes = claim.take()
            except InProgressError:
                count(outcome="waits")
                raise
            if outcomes:
                count(outcome="repeated")
                return outcomes[0]
            token = _claim.set(claim)
            try:
                with renewed(claim.renew, lease):
                    outcome = function(*args, **kwargs)
                text = dumps(outcome)
            except BaseException:
                claim.ask(RELEASE)
                raise
            finally:
                _claim.reset(token)
            if not claim.ask(FINISH, kept, text):
                count(outcome="lost")
                raise LostError(f"another worker took over {claim.key} while it ran here")
            count(outcome="ran")
            return outcome

        return wrap(function, call)

    return decorate
