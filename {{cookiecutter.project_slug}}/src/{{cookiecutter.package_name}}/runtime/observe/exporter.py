"""Figures about the project as a whole: its queues, its broker and its dead letters.

They are read when Prometheus asks for them, and no message is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from celery.utils.log import get_logger
from kombu.exceptions import OperationalError
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..broker import Depth
from ..letters.store import DeadLetterError, store_of
from ..printable import one_line

if TYPE_CHECKING:
    from kombu import Connection

    from ..app import App

logger = get_logger(__name__)

#: The figures about a queue.
OF_QUEUES: dict[str, tuple[str, Callable[[Depth], float | None]]] = {
    "queue_length": ("Messages that wait in the queue.", lambda depth: depth.messages),
    "queue_oldest_age_seconds": (
        "Age of the oldest message; RabbitMQ does not reveal it.",
        lambda depth: depth.age if depth.messages else 0,
    ),
    "active_consumer_count": (
        "Consumers of the queue; Redis does not know them.",
        lambda depth: depth.consumers,
    ),
}


class ProjectState(Collector):
    """The queues, the broker and the dead letters of an app.

    Args:
        app: The app.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: no server is asked before somebody wants to know."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; those of a server that does not answer are missing."""
        yield from self.of_broker()
        yield from self.of_dead_letters()

    def of_broker(self) -> Iterator[Metric]:
        """Yield the figures that the broker knows."""
        found: list[Metric] = []
        with self.app.connection_for_write() as connection:
            errors: tuple[type[BaseException], ...] = (
                OperationalError,
                OSError,
                *connection.connection_errors,
                *connection.channel_errors,
            )
            try:
                connection.ensure_connection(max_retries=0)
                found = [
                    *self.of_queues(connection),
                    *self.of_memory(connection),
                    *self.of_blocking(connection),
                ]
            except errors as error:
                logger.warning("The broker cannot be asked: %s", one_line(error))
        up = GaugeMetricFamily("celery_broker_up", "1 if the broker answers, else 0.")
        up.add_metric([], bool(found))
        yield from (up, *found)

    def of_queues(self, connection: Connection) -> Iterator[Metric]:
        """Yield the figures about the project's queues."""
        depths: dict[str, Depth] = {
            queue: self.app.broker.look(connection, queue) for queue in self.app.amqp.queues
        }
        for name, (text, value) in OF_QUEUES.items():
            metric = GaugeMetricFamily(f"celery_{name}", text, labels=["queue_name"])
            for queue, depth in depths.items():
                if (number := value(depth)) is not None:
                    metric.add_metric([queue], number)
            yield metric

    def of_memory(self, connection: Connection) -> Iterator[Metric]:
        """Yield the figures about the memory of the broker, if it reveals them."""
        memory = self.app.broker.memory(connection)
        if memory:
            text = "Memory that the broker uses."
            yield GaugeMetricFamily("celery_broker_memory_bytes", text, memory.used)
        if memory and memory.limit:
            text = "Memory that the broker may use."
            yield GaugeMetricFamily("celery_broker_memory_limit_bytes", text, memory.limit)

    def of_blocking(self, connection: Connection) -> Iterator[Metric]:
        """Yield whether the broker takes no messages, if that can be found out."""
        takes = self.app.broker.takes_messages(connection)
        if takes is not None:
            text = "1 if the broker takes no messages for want of memory or disk space, else 0."
            yield GaugeMetricFamily("celery_broker_blocked", text, not takes)

    def of_dead_letters(self) -> Iterator[Metric]:
        """Yield how many dead letters there are."""
        errors: tuple[type[Exception], ...] = (
            DeadLetterError,
            OperationalError,
            OSError,
            *self.app.dead_letters.errors,
        )
        try:
            number = store_of(self.app).count()
        except errors as error:
            logger.warning("The dead letters cannot be counted: %s", one_line(error))
            return
        yield GaugeMetricFamily("celery_dead_letters_stored", "Dead letters in the store.", number)
