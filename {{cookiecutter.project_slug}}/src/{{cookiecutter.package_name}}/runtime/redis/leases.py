"""Something that one process holds for a time, and renews for as long as it is at work.

A thread renews, so that it works in every pool: in a process of its own (prefork), beside the only
task (solo), and as one greenlet more (gevent, eventlet). A dead or frozen process renews nothing,
and when the lease has run out another one may take over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery.utils.log import get_logger
from redis.exceptions import RedisError

logger = get_logger(__name__)

#: Seconds without a sign of life after which another process may take over.
LEASE = 30

RENEWALS_PER_LEASE = 3


@contextmanager
def renewed(renew: Callable[[], object], lease: float) -> Iterator[None]:
    """Renew a lease while a block runs.

    Args:
        renew: Renews it; returns something false when it is lost.
        lease: Its length in seconds.
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
