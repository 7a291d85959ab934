"""How to reach the broker, a Redis."""

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ...limits import BUDGET
from ..broker import Broker as BrokerPort
from ..budget import Lease
from ..redis import transport
from ..redis.broker import Redis
from ..redis.redis_options import SCHEMES, SentinelOptions, nameless
from .environment import Variables
from .values import Count, ReadingOrder, Seconds

transport.use()


class BrokerTransportOptions(BaseModel):
    """Options of kombu's Redis transport.

    https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.redis.html
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # How long a dead worker's tasks stay hidden. A live one renews its own: see redis/lease.py.
    visibility_timeout: Seconds = BUDGET.lease
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


#: What tells the broker that a worker is gone, and the variable that sets it.
LEASE_NAME = "visibility timeout"
LEASE_SETTING = "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"

#: Development and tests use these in place of a server; production refuses them.
LOCAL = ("filesystem://", "memory://")


class Broker(Variables):
    """Settings that depend on the broker."""

    broker: ClassVar[BrokerPort] = Redis()

    # Where the queues are; use another database than for results.
    broker_url: str = Field(repr=False, description="give the URL of the broker")
    broker_transport_options: BrokerTransportOptions = BrokerTransportOptions()
    # Seconds after which a publisher stops trying to connect.
    broker_connection_timeout: Seconds = 1
    # Take a task when a process is free for it, so that none waits behind a long one.
    worker_disable_prefetch: bool = True
    # A task with a countdown waits in the memory of a worker. One that holds so many takes no other
    # task until some of them are due.
    worker_eta_task_limit: Count = 10_000

    @field_validator("broker_url")
    @classmethod
    def check_scheme(cls, url: str) -> str:
        """Refuse another kind of broker: queues and priorities are made for this one."""
        if not url.startswith(SCHEMES + LOCAL):
            raise ValueError(f"this project is made for Redis: use {', '.join(SCHEMES)}")
        return url

    @model_validator(mode="after")
    def check_master(self) -> Self:
        """Refuse a Sentinel that is asked for no master."""
        name = self.broker_transport_options.master_name
        variable = "CELERY_BROKER_TRANSPORT_OPTIONS__MASTER_NAME"
        if sentence := nameless(self.broker_url, name, variable):
            raise ValueError(sentence)
        return self

    @property
    def lease(self) -> Lease:
        """The time without a sign of life after which a worker's tasks go elsewhere."""
        seconds = self.broker_transport_options.visibility_timeout
        return Lease(seconds, LEASE_NAME, LEASE_SETTING)
