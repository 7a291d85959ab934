"""The step of a worker that declares what must be on RabbitMQ; publishers have none."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.worker.consumer import Tasks
from celery.worker.consumer.delayed_delivery import DelayedDelivery

from ..config.environment import ConfigurationError
from .topology import MismatchError, declare


class Topology(bootsteps.StartStopStep):
    """A bootstep that declares everything whenever the worker has connected."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def include_if(self, parent: Any) -> bool:
        """Skip other brokers, such as those of tests."""
        return bool(parent.conninfo.transport.driver_type == "amqp")

    def start(self, parent: Any) -> None:
        """Declare on a separate connection, so that a failure closes no channel of the worker.

        Raises:
            ConfigurationError: A queue or an exchange exists already with other arguments.
        """
        try:
            with parent.app.connection_for_write() as connection:
                declare(connection, parent.app.conf.task_queues)
        except MismatchError as error:
            raise ConfigurationError(str(error)) from None


# Celery's step binds all queues, so they must be there first. A step can only name those that come
# before it, and this one of ours is not known to Celery's.
DelayedDelivery.requires = (Tasks, Topology)
