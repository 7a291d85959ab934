"""The visibility lease: a live worker keeps its tasks, and a dead worker's tasks come back soon.

In Redis, acknowledgements are not bound to a connection. kombu adds each message that a worker
takes to a sorted set with the time of delivery, and any worker gives back messages older than
`visibility_timeout`. Celery's documentation asks for a timeout longer than the longest task or
countdown
(https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#visibility-timeout),
but the tasks of a crashed worker are stuck for as long. Here the timeout is short, and a worker
renews the time of the messages that it holds four times within it.

Under the solo pool nothing is renewed while a task runs, so `worker/checks.py` requires a long
timeout there.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger

from ..observer import observer

logger = get_logger(__name__)

RENEWALS_PER_TIMEOUT = 4


class VisibilityLease(bootsteps.StartStopStep):
    """A bootstep that renews the delivery time of every message that this worker holds."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        self.entry: Any = None
        super().__init__(parent, **kwargs)

    def include_if(self, parent: Any) -> bool:
        """Run only if the broker is Redis."""
        return bool(parent.conninfo.transport.driver_type == "redis")

    def start(self, parent: Any) -> None:
        """Renew from now on, after a reconnect on the new channel.

        There is no `stop`, because a stopping worker waits for its tasks and must keep them. Its
        timer goes on meanwhile: under threads `worker/thread.py` sees to that.
        """
        for what in ("lease_renewals", "lease_rescues"):
            observer().count(what, 0)  # a rate needs a series that was zero before
        if self.entry is not None:
            parent.timer.cancel(self.entry)
        timeout = parent.task_consumer.channel.qos.visibility_timeout
        interval = timeout / RENEWALS_PER_TIMEOUT
        self.entry = parent.timer.call_repeatedly(interval, self.tick, args=(parent,))

    def tick(self, parent: Any) -> None:
        """Renew the leases; under greenlets, also look for messages of dead workers."""
        if parent.connection is None or parent.task_consumer is None:  # stopping
            return
        self.renew(parent.task_consumer.channel)
        if parent.hub is None:
            # Without an event loop, kombu looks for them only when a poll times out. That never
            # happens, because BRPOP first answers "nothing", as an event
            # (kombu/transport/redis.py, `get`).
            parent.connection.transport.cycle.maybe_restore_messages()

    def renew(self, channel: Any) -> int:
        """Renew all leases of a channel with one command, and return how many there are."""
        held = channel.held()
        if held:
            try:
                channel.qos.renew(held)
                observer().count("lease_renewals", len(held))
            except channel.connection_errors as error:
                logger.warning("Could not renew the lease of %d messages: %s", len(held), error)
        return len(held)
