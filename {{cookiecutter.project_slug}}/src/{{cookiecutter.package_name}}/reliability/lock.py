"""A lock that all workers share: at most one of them is inside.

    with lock(f"account:{account_id}", wait=5):
        ...

It is redis-py's lock, renewed for as long as the block runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis.exceptions import LockError
from redis.lock import Lock

from .. import store
from ..tasks.base import NotNowError
from .idempotency import LostError
from .leases import LEASE, renewed

#: Seconds between two tries to get a lock, and until a task that did not get it comes back.
INTERVAL = 0.1
WAIT = 2.0


class LockedError(NotNowError):
    """Somebody else holds the lock."""


@dataclass(frozen=True)
class Held:
    """A lock that is held.

    Args:
        fence: A number that grows with every holder. Store it with what the lock protects, and
            refuse a smaller one there: a holder that stood still then can do no harm.
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
            yield Held(client.incr(store.key("fence", name)), held)
    finally:
        try:
            held.release()
        except LockError as error:
            raise LostError(f"the lock {name!r} was lost: {error}") from error
