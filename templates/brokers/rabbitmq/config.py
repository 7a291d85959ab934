"""How to reach the broker, a RabbitMQ."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...limits import BUDGET
from ..broker import Broker as BrokerPort
from ..budget import Lease
from ..rabbitmq.broker import RabbitMQ
from .environment import Variables
from .values import Count, Seconds


class BrokerTransportOptions(BaseModel):
    """Options of kombu's AMQP transport.

    https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.pyamqp.html
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # Wait until the broker has the message; otherwise what it refuses is lost without an error.
    confirm_publish: bool = True


#: What tells the broker that a worker is gone, and the variable that sets it.
LEASE_NAME = "heartbeat"
LEASE_SETTING = "CELERY_BROKER_HEARTBEAT"

#: Development and tests use these in place of a server; production refuses them.
LOCAL = ("filesystem://", "memory://")

SCHEMES = ("amqp://", "amqps://", "pyamqp://")


class Broker(Variables):
    """Settings that depend on the broker."""

    broker: ClassVar[BrokerPort] = RabbitMQ()

    # Where the queues are: amqp://USER:PASSWORD@HOST:5672/VIRTUAL_HOST
    broker_url: str = Field(repr=False, description="give the URL of the broker")
    broker_transport_options: BrokerTransportOptions = BrokerTransportOptions()
    # The tasks of a worker whose host is gone run elsewhere after about twice as long; those of a
    # killed process, whose connection the kernel closes, at once.
    broker_heartbeat: Count = Field(default=BUDGET.lease, lt=2**16)
    # Seconds to connect.
    broker_connection_timeout: Seconds = 2

    @field_validator("broker_url")
    @classmethod
    def check_scheme(cls, url: str) -> str:
        """Refuse another kind of broker: queues and priorities are made for this one."""
        if not url.startswith(SCHEMES + LOCAL):
            raise ValueError("this project is made for RabbitMQ: use amqp:// or amqps://")
        return url

    @property
    def lease(self) -> Lease:
        """The time without a sign of life after which a worker's tasks go elsewhere."""
        return Lease(self.broker_heartbeat, LEASE_NAME, LEASE_SETTING)
