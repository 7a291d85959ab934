"""The interface for what differs between brokers; an app has an implementation as `app.broker`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection

    from .app import App
    from .letters.store import Store


def scheme(app: Celery) -> str:
    """Return the scheme of the URL of an app's broker."""
    return str(app.conf.broker_url).partition("://")[0]


def size(channel: Any, queue: str) -> int:
    """Return how many messages wait in a queue, for a channel of any of kombu's own transports.

    kombu's check that a queue exists, which every public way begins with, ignores a key prefix.
    """
    return int(channel._size(queue))


class Depth(NamedTuple):
    """What waits in a queue; a value that a broker does not reveal is None."""

    #: How many messages wait.
    messages: int
    #: The age of the oldest one in seconds, if one waits.
    age: float | None = None
    #: How many clients consume the queue.
    consumers: int | None = None


class Memory(NamedTuple):
    """The memory of a broker in bytes."""

    used: int
    #: What it may use; None if there is no limit.
    limit: int | None = None


class Broker(ABC):
    """A kind of broker."""

    #: The name as people write it, and the name of kombu's transport.
    name: str
    driver: str

    #: Bootsteps for the consumer of every worker.
    consumer_steps: tuple[str, ...] = ()

    #: The class of stores for the dead letters of a project that has nothing better, by its name.
    dead_letter_store: str

    def app_class(self) -> type[App]:
        """Return the class of apps for this broker."""
        from .app import App

        return App

    @abstractmethod
    def collect(self, app: Celery, store: Store) -> int:
        """Move the messages that the broker itself has set aside into a store of dead letters.

        Returns:
            How many messages that were.
        """

    def look(self, connection: Connection, queue: str) -> Depth:
        """Return what waits in a queue, without taking a message."""
        if connection.transport.driver_type == self.driver:
            return self.look_at_server(connection, queue)
        return Depth(size(connection.default_channel, queue))  # of a test, or of this machine

    @abstractmethod
    def look_at_server(self, connection: Connection, queue: str) -> Depth:
        """Return the same as `look`, for a broker that is a server."""

    def memory(self, connection: Connection) -> Memory | None:
        """Return the memory of the broker, if it reveals it."""
        return None

    def takes_messages(self, connection: Connection) -> bool | None:
        """Return whether the broker takes messages now, if that can be found out without harm."""
        return None
