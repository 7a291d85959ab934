"""Settings for RabbitMQ as the broker."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..budget import Lease
from ..config.settings import Settings
from ..config.values import Count, Seconds
from .broker import RabbitMQ


class BrokerTransportOptions(BaseModel):
    """Options of kombu's AMQP transport.

    https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.pyamqp.html
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # Wait until the broker confirms a message; otherwise refused messages are lost without an
    # error.
    confirm_publish: bool = True


class RabbitMQBroker(Settings):
    """Queues in RabbitMQ: amqp://USER:PASSWORD@HOST:5672/VIRTUAL_HOST."""

    broker = RabbitMQ()
    broker_schemes = ("amqp", "amqps", "pyamqp")
    lease_name = "heartbeat"
    lease_setting = "CELERY_BROKER_HEARTBEAT"

    broker_transport_options: BrokerTransportOptions = BrokerTransportOptions()
    # By default, the lease of the time budget. When a host is gone, its worker's tasks run
    # elsewhere after about twice this time. When a process is killed, they do so at once, because
    # the kernel closes its connection. Below 4 seconds, a worker of greenlets or threads would not
    # stop, because the client is busy with heartbeats, and a busy machine would lose connections:
    # https://www.rabbitmq.com/docs/heartbeats#false-positives
    broker_heartbeat: Count | None = Field(default=None, ge=4, lt=2**16, examples=[30])
    # Seconds to connect.
    broker_connection_timeout: Seconds = 2

    @classmethod
    def lease_in(cls, conf: Any) -> Lease:
        """Return the lease from an app's configuration."""
        return Lease(conf.broker_heartbeat, cls.lease_name, cls.lease_setting)

    @property
    def lease_seconds(self) -> float:
        """How long RabbitMQ waits for a heartbeat."""
        return self.broker_heartbeat or self.budget.lease

    def for_celery(self) -> dict[str, Any]:
        """Add the heartbeat."""
        return {**super().for_celery(), "broker_heartbeat": self.lease_seconds}
