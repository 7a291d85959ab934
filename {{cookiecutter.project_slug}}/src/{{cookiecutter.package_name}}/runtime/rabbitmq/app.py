"""The class of apps whose broker is RabbitMQ."""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from typing import Any

from celery._state import get_current_worker_task

from .. import app as base
from . import topology

#: Seconds to wait until RabbitMQ confirms a message. RabbitMQ stops reading while it is short of
#: memory or disk (https://www.rabbitmq.com/docs/alarms); a publisher would hang for as long.
CONFIRM_TIMEOUT = 2.5

#: The same in a task, where nobody waits for an answer. To give up sooner is no help: a task whose
#: retry could not be sent runs again at once, and the retry may have arrived.
TASK_CONFIRM_TIMEOUT = 30


class App(base.App):
    """A Celery app that declares what delayed messages need before it sends one."""

    _declared = False
    _declaring = Lock()

    def send_task(self, *args: Any, **options: Any) -> Any:
        """Send a task; before the first delayed one, declare all queues and exchanges.

        A task need not do that: its worker has, when it connected.

        Raises:
            MismatchError: A queue or an exchange exists already with other arguments.
        """
        task = get_current_worker_task()
        runs_in_worker = task is not None and not task.request.is_eager
        timeout = TASK_CONFIRM_TIMEOUT if runs_in_worker else CONFIRM_TIMEOUT
        options.setdefault("confirm_timeout", timeout)
        delay = self.seconds_until(options.get("countdown"), options.get("eta"))
        if delay > 0:
            if not runs_in_worker:
                self.declare_once()
            if delay < 1:
                options["countdown"], options["eta"] = 1, None
        with topology.explained():
            return super().send_task(*args, **options)

    def declare_once(self) -> None:
        """Declare everything, once per process."""
        with self._declaring:
            if not self._declared:
                with self.connection_for_write() as connection:
                    connection.ensure_connection(max_retries=0)
                    if connection.transport.driver_type == "amqp":
                        topology.declare(connection, self.conf.task_queues)
                self._declared = True

    def seconds_until(self, countdown: float | None, eta: datetime | str | None) -> float:
        """Return the delay of a message in seconds."""
        if eta is None:
            return countdown or 0
        if isinstance(eta, str):
            eta = datetime.fromisoformat(eta)
        now = self.now() if eta.tzinfo else self.now().replace(tzinfo=None)
        return (eta - now).total_seconds()
