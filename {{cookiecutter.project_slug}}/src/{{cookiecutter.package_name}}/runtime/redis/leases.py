"""Leases: something that one process holds for a time, and renews while it works.

A thread renews the lease, which works in every pool: in the task's process (prefork), beside the
only task (solo), and as one more greenlet (gevent, eventlet). A dead or frozen process renews
nothing, and when its lease has run out, another process may take over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery.utils.log import get_logger
from redis.exceptions import RedisError

logger = get_logger(__name__)

#: Seconds after which another process may take over from a silent one.
LEASE = 30

RENEWALS_PER_LEASE = 3


@contextmanager
def renewed(renew: Callable[[], object], lease: float) -> Iterator[None]:
    """Renew a lease while a block runs.

    Args:
        renew: Renews the lease, or returns a false value if it is lost.
        lease: The length of the lease in seconds.
    """
    ended = threading.Event()

    def serve() -> None:
        while not ended.wait(lease / RENEWALS_PER_LEASE):
            try:
                if not ended.is_set() and not renew():
                    return
            except RedisError as error:
                logger.warning("Could not renew a lease: %s", error)

    threading.Thread(target=serve, name="lease", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
