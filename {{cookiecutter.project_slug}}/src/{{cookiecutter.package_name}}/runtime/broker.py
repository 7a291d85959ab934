"""The interface for what differs between brokers; an app has an implementation as `app.broker`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from .config.urls import LOCAL_BROKERS

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection

    from .app import App
    from .letters.store import Store


def is_local(app: Celery) -> bool:
    """Whether the queues of an app are in files or in memory."""
    return str(app.conf.broker_url).partition("://")[0] in LOCAL_BROKERS


class Broker(ABC):
    """A kind of broker."""

    #: The name as people write it, and the name of kombu's transport.
    name: str
    driver: str

    #: Bootsteps for the consumer of every worker.
    consumer_steps: tuple[str, ...] = ()

    def app_class(self) -> type[App]:
        """Return the class of apps for this broker."""
        from .app import App

        return App

    @abstractmethod
    def dead_letters(self) -> type[Store]:
        """Return the class of the store of dead letters for projects without a better one."""

    @abstractmethod
    def collect(self, app: Celery, store: Store) -> int:
        """Move the messages that the broker itself has set aside into a store of dead letters.

        Returns:
            How many messages that were.
        """

    def look(self, connection: Connection, queue: str) -> tuple[int, float | None]:
        """Return how many messages wait in a queue, and the age of the oldest in seconds.

        The age is None if the queue is empty, or if the broker does not reveal it.
        """
        if connection.transport.driver_type == self.driver:
            return self.look_at_server(connection, queue)
        channel: Any = connection.default_channel  # in memory or in files
        return channel._size(queue), None

    @abstractmethod
    def look_at_server(self, connection: Connection, queue: str) -> tuple[int, float | None]:
        """Return the same as `look`, for a broker that is a server."""
