"""The consumer of a worker, which keeps messages that Celery would drop."""

from __future__ import annotations

from typing import Any

from celery.worker import consumer

from ..letters import writing
from ..letters.letter import Reason
from ..letters.messages import of_message
from .pools import pool_name
from .request import class_of

#: Celery's types lack it.
BaseConsumer: Any = consumer.Consumer


class Consumer(BaseConsumer):  # type: ignore[misc]
    """A consumer that keeps messages that are not tasks as dead letters; Celery would drop them."""

    def keep(self, message: Any, reason: Reason, error: object = None) -> Any:
        """Write a dead letter; return a message that will be acknowledged if that succeeded."""
        kind = class_of(error) if error else ""
        letter = of_message(message, reason, kind, str(error or ""))
        return Kept(message) if writing.write(self.app, letter) else message

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a message that cannot be decoded."""
        self.keep(message, Reason.UNREADABLE, exc)
        super().on_decode_error(message, exc)

    def on_unknown_message(self, body: object, message: Any) -> None:
        """Keep a message that is not a task."""
        super().on_unknown_message(body, self.keep(message, Reason.UNREADABLE))

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:
        """Keep the message of a task that this worker does not know."""
        super().on_unknown_task(body, self.keep(message, Reason.UNKNOWN_TASK, exc), exc)

    def on_invalid_task(self, body: object, message: Any, exc: Exception) -> None:
        """Keep the message of a task that is not valid."""
        super().on_invalid_task(body, self.keep(message, Reason.UNREADABLE, exc), exc)

    def call_soon_ack(self, p: Any, *args: Any, **kwargs: Any) -> Any:
        """Acknowledge a message; under the solo pool, do so at once.

        Celery leaves this to its event loop, which may first sleep for up to 10 seconds, because
        the task itself ran inside the loop (kombu/asynchronous/hub.py, `create_loop`). Until then,
        RabbitMQ sends no other task.
        """
        if pool_name(type(self.pool)) == "solo":
            return p(*args, **kwargs)
        return super().call_soon_ack(p, *args, **kwargs)


class Kept:
    """A message whose dead letter is stored; when Celery rejects it, it is acknowledged instead.

    Otherwise RabbitMQ would dead-letter it a second time.
    """

    def __init__(self, message: Any) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)

    def reject_log_error(self, logger: Any, errors: Any, requeue: bool = False) -> None:
        """Acknowledge the message."""
        self._message.ack_log_error(logger, errors)
