"""A lock that all workers share: at most one of them holds it.

    with lock(f"account:{account_id}", wait=5):
        ...

It is redis-py's lock, renewed while the block runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis.exceptions import LockError
from redis.lock import Lock

from ..errors import NotNowError
from ..redis import store
from ..redis.leases import LEASE, renewed
from .idempotency import LostError, script

#: Seconds between two tries to get a lock, and until a task that did not get it is tried again.
INTERVAL = 0.1
WAIT = 2.0


class LockedError(NotNowError):
    """Another process holds the lock."""


#: The next fence, from one counter for the whole project. A counter per lock would have to be kept
#: for ever, because nobody knows when the last old holder wakes up. The counter is never behind the
#: clock of Redis in seconds, so it is above the counters of older versions, and above the numbers
#: given before Redis lost its data. Keys: the counter; that of this lock in older versions.
FENCE = """
local last = math.max(tonumber(redis.call('GET', KEYS[1]) or 0),
                      tonumber(redis.call('GET', KEYS[2]) or 0),
                      tonumber(redis.call('TIME')[1]))
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], string.format('%.0f', last + 1))
return string.format('%.0f', last + 1)
"""


@dataclass(frozen=True)
class Held:
    """A lock that is held.

    Args:
        fence: A 64-bit number that grows with every holder. Store it with the data that the lock
            protects, and refuse smaller numbers there: then a holder that was frozen can do no
            harm.
        lock: The lock of redis-py.
    """

    fence: int
    lock: Lock

    def check(self) -> None:
        """Renew the lock.

        Raises:
            LostError: The lock is no longer held.
        """
        try:
            self.lock.reacquire()
        except LockError as error:
            raise LostError(str(error)) from error


def next_fence(name: str, client: Any) -> int:
    """Return a number that is larger than that of any earlier holder."""
    return int(script(FENCE)([store.key("fence"), store.key("fence", name)], client=client))


@contextmanager
def lock(name: str, *, wait: float = 0, lease: float = LEASE) -> Iterator[Held]:
    """Hold a lock while a block runs.

    Args:
        name: The name of the lock.
        wait: Seconds to wait for the lock, during which the worker is busy.
        lease: Seconds after which another process may take the lock from a silent one.

    Raises:
        LockedError: Another process holds the lock; the task is put back and waits.
        LostError: The lock was lost while the block ran, so another process may have held it too.
    """
    client = store.client()
    # The thread that renews the lock needs the token too.
    held = Lock(client, store.key("lock", name), timeout=lease, sleep=INTERVAL, thread_local=False)
    if not held.acquire(blocking=wait > 0, blocking_timeout=wait):
        raise LockedError(f"another process holds the lock {name!r}", WAIT)
    try:
        with renewed(held.reacquire, lease):
            yield Held(next_fence(name, client), held)
    finally:
        try:
            held.release()
        except LockError as error:
            raise LostError(f"the lock {name!r} was lost: {error}") from error
