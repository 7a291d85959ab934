"""The outbox: tasks that are sent if, and only if, a transaction is committed.

    with database.session() as session:
        session.add(order)
        outbox.add(session, ship.s(order.id))

The task is stored as a row in the same transaction, so the broker may be unreachable at that
moment. The schedule starts `outbox.relay`, which sends the stored tasks and deletes their rows. If
a relay dies in between, the next one sends a task again under the same id; like every task, it may
run twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from celery.canvas import Signature
from celery.utils import uuid
from celery.utils.log import get_logger
from kombu.exceptions import OperationalError
from kombu.utils.json import dumps, loads
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .. import context
from ..tasks.base import transient_errors
from .tables import Base, Number, now

logger = get_logger(__name__)

#: Rows that a relay locks at once.
BATCH = 100


class OutboxMessage(Base):
    """A task that is to be sent."""

    __tablename__ = "outbox"

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    task_id: Mapped[str] = mapped_column(unique=True)
    #: JSON: the task with its arguments and options, and the context in which it was added.
    message: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


def add(session: Session, task: Signature[Any]) -> str:
    """Store a task that is to be sent when the transaction is committed, and return its id.

    Args:
        session: The session of the transaction.
        task: The task with its arguments, such as `ship.s(7)`. Its options apply as well; a
            countdown starts now.

    Raises:
        ValueError: It is a workflow; add a task that starts the workflow.
        QueueNotFound: Its options name a queue that does not exist.
        TypeError: An argument cannot be written as JSON.
    """
    if task.subtask_type:
        raise ValueError(
            f"the outbox cannot store a {task.subtask_type}: add a task that starts it"
        )
    options = dict(task.options)
    task.app.amqp.router.route(dict(options), str(task.task), task.args, task.kwargs)
    if countdown := options.pop("countdown", None):
        options["eta"] = now() + timedelta(seconds=countdown)
    task_id = options.setdefault("task_id", uuid())
    options.setdefault("root_id", task_id)
    message = {"task": {**task, "options": options}, "context": context.current()}
    session.add(OutboxMessage(task_id=task_id, message=dumps(message)))
    return str(task_id)


def send_batch(app: Celery, session: Session) -> int:
    """Send tasks that no other relay is sending, the oldest first, and return how many there were.

    Tasks that cannot be sent stay, and the next relay tries again.
    """
    rows = select(OutboxMessage).order_by(OutboxMessage.number).limit(BATCH)
    away: tuple[type[Exception], ...] = (OperationalError, *transient_errors(app))
    sent = 0
    for row in session.scalars(rows.with_for_update(skip_locked=True)).all():
        try:
            send(app, row)
        except away as error:
            logger.warning("The outbox is waiting for the broker: %s", error)
            break
        except Exception:
            logger.exception("Could not send a task from the outbox: %s", row.message)
            continue
        session.delete(row)
        sent += 1
    return sent


def send(app: Celery, row: OutboxMessage) -> None:
    """Send a task."""
    message = loads(row.message)
    with context.bind(*message["context"]):
        app.signature(message["task"]).apply_async(add_to_parent=False)
