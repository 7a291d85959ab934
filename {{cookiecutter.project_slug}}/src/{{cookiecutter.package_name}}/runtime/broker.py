"""What depends on the broker: the app has one of these as `app.broker`."""

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


def size(channel: Any, queue: str) -> int:
    """Return how many messages wait in a queue, for a channel of any of kombu's own transports.

    kombu's check that a queue exists, which every public way begins with, ignores a key prefix.
    """
    return int(channel._size(queue))


class Broker(ABC):
    """A kind of broker."""

    #: As people write it, and as kombu's transport calls it.
    name: str
    driver: str

    #: Steps for the consumer of every worker, as Celery's blueprints take them.
    consumer_steps: tuple[str, ...] = ()

    #: The class of stores for the dead letters of a project that has nothing better, by its name.
    dead_letter_store: str

    def app_class(self) -> type[App]:
        """Return the class of apps that send to this broker."""
        from .app import App

        return App

    @abstractmethod
    def collect(self, app: Celery, store: Store) -> int:
        """Move what the broker itself has set aside into a store of dead letters.

        Returns:
            How much that was.
        """

    def look(self, connection: Connection, queue: str) -> tuple[int, float | None]:
        """Return how many messages wait in a queue, and the age of the oldest in seconds.

        The age is None where the queue is empty, or where the broker does not tell it.
        """
        if connection.transport.driver_type == self.driver:
            return self.look_at_server(connection, queue)
        return size(connection.default_channel, queue), None  # in memory or in files

    @abstractmethod
    def look_at_server(self, connection: Connection, queue: str) -> tuple[int, float | None]:
        """Return what `look` does, of a server."""
