"""Settings of a Redis that is the broker."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..budget import Lease
from ..config.settings import Settings
from ..config.values import Count, ReadingOrder, Seconds
from . import transport
from .broker import Redis
from .redis_options import NAMES, SentinelOptions, nameless

# Before a URL is looked at: kombu keeps the first transport that it finds for one.
transport.use()


class BrokerTransportOptions(BaseModel):
    """Options of kombu's Redis transport.

    https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.redis.html
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # How long a dead worker's tasks stay hidden: the lease of the time budget, if nothing else is
    # set. A live worker renews its own: see redis/lease.py.
    visibility_timeout: Seconds | None = Field(default=None, examples=[30])
    # Look for such tasks every 2 seconds; the defaults add more than a minute to the timeout.
    unacked_restore_interval: Seconds = 2
    unacked_restore_throttle: Count = 1
    # Read the queues of a worker in the order of --queues, the urgent one first.
    queue_order_strategy: ReadingOrder = "priority"
    # Without timeouts a lost network blocks a publisher for as long as the kernel retries.
    socket_timeout: Seconds = 2.5
    socket_connect_timeout: Seconds = 2
    socket_keepalive: bool = True
    health_check_interval: Count = 25
    # kombu's 10 are fewer than greenlets need that acknowledge at once. One too many is an error.
    max_connections: Count = 1000
    # The master that Sentinel watches, for sentinel://HOST:26379/0;sentinel://HOST:26379/0
    master_name: str | None = None
    # How to reach the Sentinels, if they ask for a password or TLS.
    sentinel_kwargs: SentinelOptions = SentinelOptions()
    # Prefix of all keys, for several projects in one database.
    global_keyprefix: str = ""


class RedisBroker(Settings):
    """Queues in a Redis; use another database than for results."""

    broker_schemes = NAMES
    broker = Redis()
    lease_name = "visibility timeout"
    lease_setting = "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"

    broker_transport_options: BrokerTransportOptions = BrokerTransportOptions()
    # Seconds after which a publisher stops trying to connect.
    broker_connection_timeout: Seconds = 1
    # Take a task when a process is free for it, so that none waits behind a long one.
    worker_disable_prefetch: bool = True
    # A task with a countdown waits in the memory of a worker. One that holds so many takes no other
    # task until some of them are due.
    worker_eta_task_limit: Count = 10_000

    def refusals(self) -> Iterator[str]:
        """Refuse a Sentinel that is asked for no master."""
        name = self.broker_transport_options.master_name
        variable = "CELERY_BROKER_TRANSPORT_OPTIONS__MASTER_NAME"
        if sentence := nameless(self.broker_url, name, variable):
            yield sentence
        yield from super().refusals()

    @classmethod
    def lease_in(cls, conf: Any) -> Lease:
        """Return the lease of a configured app; in memory and in files there is none."""
        seconds = conf.broker_transport_options.get("visibility_timeout", inf)
        return Lease(seconds, cls.lease_name, cls.lease_setting)

    @property
    def lease_seconds(self) -> float:
        """How long Redis hides a task."""
        return self.broker_transport_options.visibility_timeout or self.budget.lease

    def for_celery(self) -> dict[str, Any]:
        """Set the visibility timeout."""
        settings = super().for_celery()
        settings["broker_transport_options"]["visibility_timeout"] = self.lease_seconds
        return settings
