"""Settings for Redis as the broker."""

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

# Before any URL is used, because kombu keeps the first transport that it finds for a scheme.
transport.use()


class BrokerTransportOptions(BaseModel):
    """Options of kombu's Redis transport.

    https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.redis.html
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # How long a dead worker's tasks stay hidden; by default, the lease of the time budget. A live
    # worker renews it for its tasks: see redis/lease.py.
    visibility_timeout: Seconds | None = Field(default=None, examples=[30])
    # Look for such tasks every 2 seconds; the defaults would add more than a minute to the timeout.
    unacked_restore_interval: Seconds = 2
    unacked_restore_throttle: Count = 1
    # Read a worker's queues in the order of --queues, the urgent one first.
    queue_order_strategy: ReadingOrder = "priority"
    # Without timeouts, a lost network would block a publisher for as long as the kernel retries.
    socket_timeout: Seconds = 2.5
    socket_connect_timeout: Seconds = 2
    socket_keepalive: bool = True
    health_check_interval: Count = 25
    # kombu's default of 10 is too small for greenlets that acknowledge at the same time; one more
    # than allowed is an error.
    max_connections: Count = 1000
    # The master that Sentinel watches, for sentinel://HOST:26379/0;sentinel://HOST:26379/0
    master_name: str | None = None
    # How to reach the Sentinels, if they ask for a password or TLS.
    sentinel_kwargs: SentinelOptions = SentinelOptions()
    # A prefix for all keys, so that several projects can share one database.
    global_keyprefix: str = ""


class RedisBroker(Settings):
    """Queues in Redis; use a different database for results."""

    broker_schemes = NAMES
    broker = Redis()
    lease_name = "visibility timeout"
    lease_setting = "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"

    broker_transport_options: BrokerTransportOptions = BrokerTransportOptions()
    # Seconds after which a publisher stops trying to connect.
    broker_connection_timeout: Seconds = 1
    # Take a task only when a process is free for it, so that none waits behind a long one.
    worker_disable_prefetch: bool = True
    # Tasks with a countdown wait in the memory of a worker. A worker that holds this many takes no
    # other task until some of them are due.
    worker_eta_task_limit: Count = 10_000

    def refusals(self) -> Iterator[str]:
        """Refuse a Sentinel URL without the name of a master."""
        name = self.broker_transport_options.master_name
        variable = "CELERY_BROKER_TRANSPORT_OPTIONS__MASTER_NAME"
        if sentence := nameless(self.broker_url, name, variable):
            yield sentence
        yield from super().refusals()

    @classmethod
    def lease_in(cls, conf: Any) -> Lease:
        """Return the lease from an app's configuration; queues in memory have none."""
        seconds = conf.broker_transport_options.get("visibility_timeout", inf)
        return Lease(seconds, cls.lease_name, cls.lease_setting)

    @property
    def lease_seconds(self) -> float:
        """How long Redis hides a task."""
        return self.broker_transport_options.visibility_timeout or self.budget.lease

    def for_celery(self) -> dict[str, Any]:
        """Add the visibility timeout."""
        settings = super().for_celery()
        settings["broker_transport_options"]["visibility_timeout"] = self.lease_seconds
        return settings
