"""Tasks that are sent if, and only if, a transaction is committed: also when the broker is away.

    with database.session() as session:
        session.add(order)
        outbox.add(session, ship.s(order.id))

The task is a row in the same transaction. The schedule starts `outbox.relay`, which sends what is
there and deletes it. A relay that dies in between sends a task again, under the same id: like every
task it may run twice.
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
    """A task to be sent."""

    __tablename__ = "outbox"

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    task_id: Mapped[str] = mapped_column(unique=True)
    #: JSON: the task with its arguments and options, and the context it was sent in.
    message: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


def add(session: Session, task: Signature[Any]) -> str:
    """Let a task be sent when the transaction is committed, and return its id.

    Args:
        session: The session of the transaction.
        task: The task with its arguments, such as `ship.s(7)`. Its options count as well; a
            countdown begins now.

    Raises:
        ValueError: It is a workflow: let a task start that.
        QueueNotFound: Its options name a queue that does not exist.
        TypeError: An argument is no JSON.
    """
    if task.subtask_type:
        raise ValueError(f"an outbox keeps no {task.subtask_type}: let a task start it")
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
    """Send what nobody else is sending, the oldest first, and return how many tasks that were.

    What cannot be sent stays, and is tried again by the next relay.
    """
    rows = select(OutboxMessage).order_by(OutboxMessage.number).limit(BATCH)
    away: tuple[type[Exception], ...] = (OperationalError, *transient_errors(app))
    sent = 0
    for row in session.scalars(rows.with_for_update(skip_locked=True)).all():
        try:
            send(app, row)
        except away as error:
            logger.warning("The outbox waits for the broker: %s", error)
            break
        except Exception:
            logger.exception("Cannot send from the outbox: %s", row.message)
            continue
        session.delete(row)
        sent += 1
    return sent


def send(app: Celery, row: OutboxMessage) -> None:
    """Send a task."""
    message = loads(row.message)
    with context.bind(*message["context"]):
        app.signature(message["task"]).apply_async(add_to_parent=False)
