"""Celery's events, sent for as long as somebody wants them.

Workers send none at first, have no connection for them, and send no heartbeats that nobody reads.
`celery control enable_events`, the command `monitor` and Flower ask for them; without what is here,
Celery would answer that its dispatcher is unavailable (celery/worker/control.py).
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.events.dispatcher import EventDispatcher
from celery.worker.consumer.events import Events
from celery.worker.heartbeat import Heart
from kombu.common import ignore_errors

#: The group of the events that somebody asks for, and of those that tell that a worker lives.
TASKS, WORKERS = "task", "worker"


class Groups(set[str]):
    """The groups of events that are sent; Celery's commands add and discard that of tasks.

    Args:
        dispatcher: What sends them.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__([WORKERS])
        self.dispatcher = dispatcher

    def add(self, group: str) -> None:
        """Send the events of a group too."""
        super().add(group)
        self.dispatcher.connect()

    def discard(self, group: object) -> None:
        """Send them no longer."""
        self.dispatcher.disconnect()
        super().discard(group)


class Dispatcher(EventDispatcher):
    """A dispatcher that has a connection only while somebody wants events.

    Args:
        consumer: The consumer of the worker.
    """

    def __init__(self, consumer: Any) -> None:
        buffered = {"buffer_group": [TASKS], "on_send_buffered": consumer.on_send_event_buffered}
        super().__init__(
            hostname=consumer.hostname,
            app=consumer.app,
            enabled=False,
            **(buffered if consumer.hub else {}),
        )
        self.consumer = consumer
        self.groups = Groups(self)
        self.enabled = True  # the tasks of a worker look at it once, when it starts
        self.heart = Heart(consumer.timer, self)

    def connect(self) -> None:
        """Begin to send events, and to tell that the worker lives."""
        if self.connection is None:
            # Nobody reads from this connection, so it needs no heartbeats of the broker.
            self.connection = self.consumer.connection_for_write(heartbeat=0)
            self.enable()

    def disconnect(self) -> None:
        """Send what there is, and no more."""
        connection, self.connection = self.connection, None
        if connection is not None:
            ignore_errors(connection, self.flush)
            ignore_errors(connection, self.heart.stop)
            self.producer = None
            ignore_errors(connection, connection.close)


class EventsOnRequest(bootsteps.StartStopStep):
    """A bootstep of a consumer that sends events once somebody has asked for them."""

    requires = (Events,)

    def __init__(self, consumer: Any, task_events: bool = False, **options: Any) -> None:
        super().__init__(consumer, **options)
        self.enabled = not task_events  # with --task-events, Celery sends them from the start
        if self.enabled:
            consumer.event_dispatcher = Dispatcher(consumer)

    def start(self, consumer: Any) -> None:
        """Go on after the connection to the broker was lost."""
        if TASKS in consumer.event_dispatcher.groups:
            consumer.event_dispatcher.connect()

    def stop(self, consumer: Any) -> None:
        """Leave the connection, which may be lost."""
        consumer.event_dispatcher.disconnect()

    shutdown = stop
