"""Settings of a Redis: as the broker, for results, and for the project's own state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import inf
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import SettingsConfigDict

from ..budget import Lease
from ..config.environment import Variables, read, read_env_file
from ..config.results import KeptResults, results_in_files
from ..config.settings import Settings
from ..config.urls import broken, servers, unsafe
from ..config.values import Count, ReadingOrder, Seconds
from .broker import Redis
from .redis_options import SCHEMES, SOCKET, ResultOptions, SentinelOptions, nameless

#: The same without `://`.
NAMES = tuple(scheme.removesuffix("://") for scheme in SCHEMES)


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

    broker = Redis()
    broker_name = "Redis"
    broker_schemes = NAMES
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
        yield from super().refusals()
        name = self.broker_transport_options.master_name
        variable = "CELERY_BROKER_TRANSPORT_OPTIONS__MASTER_NAME"
        if sentence := nameless(self.broker_url, name, variable):
            yield sentence

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
        """Set the visibility timeout, and the transport that loses nothing."""
        from . import transport  # which is absent where Redis only keeps results

        transport.use()
        settings = super().for_celery()
        settings["broker_transport_options"]["visibility_timeout"] = self.lease_seconds
        return settings


class RedisResults(KeptResults):
    """Results in a Redis."""

    result_backend: str = Field(repr=False, description="give the URL of the result backend")
    result_schemes: ClassVar[tuple[str, ...]] = (*NAMES, *KeptResults.result_schemes)

    redis_socket_timeout: Seconds = 1
    redis_socket_connect_timeout: Seconds = 1
    redis_socket_keepalive: bool = True
    result_backend_transport_options: ResultOptions = ResultOptions()

    @classmethod
    def on_files(cls) -> dict[str, Any]:
        """Without a Redis, keep results in files."""
        return {**super().on_files(), "result_backend": results_in_files()}

    def refusals(self) -> Iterator[str]:
        """Refuse a Sentinel that is asked for no master."""
        yield from super().refusals()
        name = self.result_backend_transport_options.master_name
        variable = "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS__MASTER_NAME"
        if sentence := nameless(self.result_backend, name, variable):
            yield sentence

    def for_celery(self) -> dict[str, Any]:
        """Leave out what a socket does not have."""
        settings = super().for_celery()
        # Celery leaves it out only if it is off (celery/backends/redis.py).
        settings["redis_socket_keepalive"] &= not self.result_backend.startswith(SOCKET)
        return settings


class Store(Variables):
    """The Redis of `store.py`; without a URL it is the broker's, else that of the results."""

    model_config = SettingsConfigDict(env_prefix="APP_", env_nested_delimiter="__")

    env: str = "development"
    store_url: str = Field(default="", repr=False)
    # The master that Sentinel watches, and how to reach the Sentinels, if they are not those of the
    # broker or of the results.
    store_master_name: str | None = None
    store_sentinel_kwargs: SentinelOptions | None = Field(default=None, repr=False)

    # Tenants whose tasks come after those of all others, see `tenants.py`.
    noisy_tenants: tuple[str, ...] = ()

    @model_validator(mode="after")
    def check_url(self) -> Self:
        """Refuse what is not a Redis, and in production what is unsafe."""
        for url in servers(self.store_url) if self.store_url else ():
            reason = broken(url, NAMES)
            if self.env in {"staging", "production"}:
                reason = reason or unsafe(url)
            if reason:
                raise ValueError(f"APP_STORE_URL is refused: {reason}")
        return self


@cache
def load() -> Store:
    """Return the settings of the project's own state, read once.

    Raises:
        ConfigurationError: A value is wrong.
    """
    read_env_file()
    return read(Store)
