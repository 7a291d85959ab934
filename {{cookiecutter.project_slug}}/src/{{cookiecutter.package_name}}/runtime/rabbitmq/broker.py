"""RabbitMQ as the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..broker import Broker, Depth

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection

    from ..letters.store import Store
    from .app import App


class RabbitMQ(Broker):
    """RabbitMQ, over AMQP."""

    name = "RabbitMQ"
    driver = "amqp"
    consumer_steps = (f"{__package__}.topology_step:Topology",)
    dead_letter_store = f"{__package__}.dead_letters:DeadLetters"

    def app_class(self) -> type[App]:
        """Return the class of apps for RabbitMQ."""
        from .app import App

        return App

    def collect(self, app: Celery, store: Store) -> int:
        """Move RabbitMQ's own dead letters into a store."""
        from .dead_lettered import collect

        return collect(app, store)

    def look_at_server(self, connection: Connection, queue: str) -> Depth:
        """Return how many messages wait; RabbitMQ does not reveal their age."""
        from .backlog import look

        return look(connection, queue)

    def takes_messages(self, connection: Connection) -> bool | None:
        """Return whether RabbitMQ takes messages; short of memory or disk space, it does not."""
        if connection.transport.driver_type != self.driver:
            return None
        from .backlog import takes_messages

        return takes_messages(connection)
