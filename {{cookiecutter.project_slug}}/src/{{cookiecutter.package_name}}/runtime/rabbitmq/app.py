"""Apps that send to RabbitMQ."""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from typing import Any

from .. import app as base
from . import topology

#: Seconds to wait until RabbitMQ has a message. Without a limit a publisher hangs for as long as
#: RabbitMQ is short of memory or disk, when it reads no more (https://www.rabbitmq.com/docs/alarms).
CONFIRM_TIMEOUT = 2.5


class App(base.App):
    """A Celery app whose delayed messages always arrive."""

    _declared = False
    _declaring = Lock()

    def send_task(self, *args: Any, **options: Any) -> Any:
        """Send a task; the first one that is delayed declares what it needs.

        Raises:
            MismatchError: The queue is there already and differs.
        """
        options.setdefault("confirm_timeout", CONFIRM_TIMEOUT)
        delay = self.seconds_until(options.get("countdown"), options.get("eta"))
        if delay > 0:
            self.declare_once()
            if delay < 1:
                options["countdown"], options["eta"] = 1, None
        with topology.explained():
            return super().send_task(*args, **options)

    def declare_once(self) -> None:
        """Declare everything, once in the life of a process."""
        with self._declaring:
            if not self._declared:
                with self.connection_for_write() as connection:
                    connection.ensure_connection(max_retries=0)
                    if connection.transport.driver_type == "amqp":
                        topology.declare(connection, self.conf.task_queues)
                self._declared = True

    def seconds_until(self, countdown: float | None, eta: datetime | str | None) -> float:
        """Return how long a message is to be delayed."""
        if eta is None:
            return countdown or 0
        if isinstance(eta, str):
            eta = datetime.fromisoformat(eta)
        now = self.now() if eta.tzinfo else self.now().replace(tzinfo=None)
        return (eta - now).total_seconds()
