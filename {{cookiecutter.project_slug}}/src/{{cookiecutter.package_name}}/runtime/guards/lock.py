"""A lock that all workers share: at most one of them is inside.

    with lock(f"account:{account_id}", wait=5):
        ...

It is redis-py's lock, renewed for as long as the block runs.
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

#: Seconds between two tries to get a lock, and until a task that did not get it comes back.
INTERVAL = 0.1
WAIT = 2.0


class LockedError(NotNowError):
    """Somebody else holds the lock."""


#: The next number for a holder, from one counter of the project: a counter for each lock would have
#: to stay for ever, since nobody knows when the last old holder wakes up. It is never behind the
#: clock of Redis in seconds, and so above the counters that older versions kept, and above what was
#: given before Redis lost its data. Keys: the counter, that of this lock in older versions.
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
        fence: A number that grows with every holder, of 64 bits. Store it with what the lock
            protects, and refuse a smaller one there: a holder that stood still then can do no harm.
        lock: The lock.
    """

    fence: int
    lock: Lock

    def check(self) -> None:
        """Renew the lock.

        Raises:
            LostError: It is no longer held.
        """
        try:
            self.lock.reacquire()
        except LockError as error:
            raise LostError(str(error)) from error


def next_fence(name: str, client: Any) -> int:
    """Return a number that is larger than that of any holder before."""
    return int(script(FENCE)([store.key("fence"), store.key("fence", name)], client=client))


@contextmanager
def lock(name: str, *, wait: float = 0, lease: float = LEASE) -> Iterator[Held]:
    """Hold a lock in a block.

    Args:
        name: Its name.
        wait: Seconds to wait for it, which keep a worker busy.
        lease: Seconds without a sign of life after which another process may take it.

    Raises:
        LockedError: Somebody else holds it; a task goes back to its queue and waits there.
        LostError: It was lost while the block ran; somebody else may have been inside.
    """
    client = store.client()
    # The thread that renews needs the token too.
    held = Lock(client, store.key("lock", name), timeout=lease, sleep=INTERVAL, thread_local=False)
    if not held.acquire(blocking=wait > 0, blocking_timeout=wait):
        raise LockedError(f"the lock {name!r} is held elsewhere", WAIT)
    try:
        with renewed(held.reacquire, lease):
            yield Held(next_fence(name, client), held)
    finally:
        try:
            held.release()
        except LockError as error:
            raise LostError(f"the lock {name!r} was lost: {error}") from error
