"""The visibility lease: a live worker keeps what it holds, a dead worker's tasks are back soon.

Redis has no connection-bound acknowledgement. kombu puts what a worker takes into a sorted set with
the time of delivery, and any worker gives away what is older than `visibility_timeout`. Celery's
documentation asks for a timeout longer than the longest task or countdown
(https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#visibility-timeout),
which is also how long the tasks of a crashed worker are stuck. Here the timeout is short, and the
worker renews the time of what it holds four times as often.

Under the solo pool nothing renews while a task runs: `checks.py` asks for a long timeout there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.utils.log import get_logger

if TYPE_CHECKING:
    from celery.worker.consumer import Consumer

logger = get_logger(__name__)

RENEWALS_PER_TIMEOUT = 4


class VisibilityLease(bootsteps.StartStopStep):
    """Renew the time of delivery of every message that this worker holds."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Consumer, **kwargs: Any) -> None:
        self.timer: Any = None
        super().__init__(parent, **kwargs)

    def include_if(self, parent: Consumer) -> bool:
        """Only a Redis broker needs it."""
        return bool(parent.conninfo.transport.driver_type == "redis")

    def start(self, parent: Consumer) -> None:
        """Renew from now on; a reconnect starts again with the new channel.

        There is no `stop`: while a stopping worker waits for its running tasks it still holds them.
        """
        if self.timer is not None:
            parent.timer.cancel(self.timer)
        timeout = parent.task_consumer.channel.qos.visibility_timeout
        self.timer = parent.timer.call_repeatedly(
            timeout / RENEWALS_PER_TIMEOUT, self.renew, args=(parent,)
        )

    def renew(self, parent: Consumer) -> int:
        """Renew all leases at once and return how many there are."""
        if parent.task_consumer is None:  # between two connections
            return 0
        channel = parent.task_consumer.channel
        held = list(channel.qos._delivered)
        if not held:
            return 0
        now = time.time()
        try:
            with channel.conn_or_acquire() as client:
                # XX: never bring back what was acknowledged meanwhile.
                client.zadd(channel.unacked_index_key, dict.fromkeys(held, now), xx=True)
        except channel.connection_errors as error:
            logger.warning("Could not renew the lease of %d messages: %s", len(held), error)
        return len(held)
