"""Settings of a RabbitMQ that is the broker."""

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

    # Wait until the broker has the message; otherwise what it refuses is lost without an error.
    confirm_publish: bool = True


class RabbitMQBroker(Settings):
    """Queues in a RabbitMQ: amqp://USER:PASSWORD@HOST:5672/VIRTUAL_HOST."""

    broker = RabbitMQ()
    broker_schemes = ("amqp", "amqps", "pyamqp")
    lease_name = "heartbeat"
    lease_setting = "CELERY_BROKER_HEARTBEAT"

    broker_transport_options: BrokerTransportOptions = BrokerTransportOptions()
    # The lease of the time budget, if nothing else is set. The tasks of a worker whose host is gone
    # run elsewhere after about twice as long; those of a killed process, whose connection the
    # kernel closes, at once.
    broker_heartbeat: Count | None = Field(default=None, lt=2**16, examples=[30])
    # Seconds to connect.
    broker_connection_timeout: Seconds = 2

    @classmethod
    def lease_in(cls, conf: Any) -> Lease:
        """Return the lease of a configured app."""
        return Lease(conf.broker_heartbeat, cls.lease_name, cls.lease_setting)

    @property
    def lease_seconds(self) -> float:
        """How long RabbitMQ waits for a heartbeat."""
        return self.broker_heartbeat or self.budget.lease

    def for_celery(self) -> dict[str, Any]:
        """Set the heartbeat."""
        return {**super().for_celery(), "broker_heartbeat": self.lease_seconds}
