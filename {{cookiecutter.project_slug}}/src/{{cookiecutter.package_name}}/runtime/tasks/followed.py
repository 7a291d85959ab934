"""Tasks that somebody follows by their id: known from when they are sent, and cancelled for good.

    task_id = followed.send(reports.totals, {"source": "sales.csv", ...})
    followed.look(app, task_id)
    followed.cancel(app, task_id)

Celery calls a task that waits `PENDING`, and an id that never existed too. Its revoke is heard only
by workers that run at that moment, and forgotten when they end. So the result store keeps a record
of both: `SENT` before a task is published, and a mark of those that were cancelled, which a task
looks for before it starts. Records end with results, after `CELERY_RESULT_EXPIRES`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

from celery import Celery, Task, signals, states
from celery.exceptions import Ignore
from celery.utils.log import get_logger
from kombu import Connection

from ..parts import Part
from .cancellation import Cancellation

logger = get_logger(__name__)

#: The state of a task that waits for its first start.
SENT = "SENT"

#: States of a task that no worker runs, but one will.
WAITING = {SENT, states.RETRY}

#: Header of a task that looks for a mark before it starts.
FOLLOWED_HEADER = "x-followed"

#: Pools that can end a task, by the module of their class.
CAN_END = ("prefork", "gevent", "eventlet")

#: Seconds to wait for the answers of workers.
PATIENCE = 0.8


class UnknownTaskError(Exception):
    """No task with this id was sent, or its records have ended."""


class NotCancelledError(Exception):
    """A task cannot be cancelled; the text says why."""


class Followed(Cancellation, Part):
    """Let tasks that were sent by `send` be cancelled for good."""

    def install(self, app: Any) -> None:
        """Let every task look for its mark before it starts."""
        app.cancellation = self

    def check(self, task: Any) -> None:
        """Stop a task that was cancelled before it starts.

        Raises:
            Ignore: It was cancelled.
        """
        check(task)


class Report(NamedTuple):
    """What is known of a task: its state, and its result, error or progress."""

    state: str
    info: Any


@contextmanager
def noted(app: Celery, task_id: str) -> Iterator[None]:
    """Publish a task in this block: its id is known before, unless it cannot be published."""
    app.backend.store_result(task_id, None, SENT)
    try:
        yield
    except BaseException:
        app.backend.forget(task_id)
        raise


def send(task: Task[Any, Any], kwargs: Mapping[str, Any], **options: Any) -> str:
    """Send a task that keeps its result, and return its id.

    Args:
        task: The task.
        kwargs: Its arguments.
        options: Those of `apply_async`.
    """
    task_id = str(uuid4())
    headers = {**(options.pop("headers", None) or {}), FOLLOWED_HEADER: "yes"}
    with noted(task.app, task_id):
        result = task.apply_async(
            kwargs=dict(kwargs),
            task_id=task_id,
            headers=headers,
            ignore_result=False,
            **options,
        )
    if result.id != task_id:  # of a unique task that was sent before
        task.app.backend.forget(task_id)
    return str(result.id)


def look(app: Celery, task_id: str) -> Report:
    """Return what is known of a task.

    Raises:
        UnknownTaskError: Nothing is.
    """
    meta = app.backend.get_task_meta(task_id, cache=False)
    if meta["status"] == states.PENDING:
        time.sleep(0.05)  # a file that is being written looks empty
        meta = app.backend.get_task_meta(task_id, cache=False)
    if meta["status"] == states.PENDING:
        raise UnknownTaskError(
            f"there is no task {task_id}: it was never sent, or its records have expired"
        )
    return Report(meta["status"], meta["result"])


def mark(task_id: str) -> str:
    """Return the name of the record of a task that was cancelled."""
    return f"cancelled-{task_id}"


def is_cancelled(app: Celery, task_id: str) -> bool:
    """Whether a task must not start."""
    status: str = app.backend.get_task_meta(mark(task_id), cache=False)["status"]
    return status != states.PENDING


def check(task: Task[Any, Any]) -> None:
    """Stop a task that was cancelled before it starts.

    Its start is written before the mark is looked for, and `cancel` works the other way round: so
    at least one of the two sees the other, and no task runs that was said to be cancelled.

    Raises:
        Ignore: It was cancelled.
    """
    request: Any = task.request
    if FOLLOWED_HEADER not in (request.headers or {}):
        return
    meta = {"hostname": request.hostname, "pid": os.getpid()}
    task.update_state(state=states.STARTED, meta=meta)
    if is_cancelled(task.app, request.id):
        task.backend.mark_as_revoked(request.id, "cancelled", request=request)
        signals.task_revoked.send(
            sender=task, request=request, terminated=False, signum=None, expired=False
        )
        logger.info("%s[%s] was cancelled before it started", task.name, request.id)
        raise Ignore("cancelled")


def cancel(app: Celery, task_id: str, connection: Connection | None = None) -> None:
    """Let a task that waits never start, and end one that runs.

    Args:
        app: The app.
        task_id: Its id.
        connection: To the broker, for the question which worker runs it.

    Raises:
        UnknownTaskError: There is no such task.
        NotCancelledError: It has ended, or its pool cannot end it.
    """
    if is_final(app, task_id):
        return
    app.backend.store_result(mark(task_id), None, states.REVOKED)
    try:
        if is_final(app, task_id):
            return
        if look(app, task_id).state in WAITING:
            app.backend.mark_as_revoked(task_id, "cancelled")
        else:
            end(app, task_id, connection)
    except BaseException:
        app.backend.forget(mark(task_id))
        if look(app, task_id).state != states.REVOKED:  # it may have seen the mark
            raise


def is_final(app: Celery, task_id: str) -> bool:
    """Whether a task was cancelled.

    Raises:
        NotCancelledError: It has ended in another way.
    """
    state = look(app, task_id).state
    if state in states.READY_STATES - {states.REVOKED}:
        raise NotCancelledError(f"it has ended: {state}")
    return state == states.REVOKED


def end(app: Celery, task_id: str, connection: Connection | None) -> None:
    """End a task that runs.

    Raises:
        NotCancelledError: Its pool cannot, or no worker answers for it.
    """

    def ask(*workers: str) -> Any:
        return app.control.inspect(workers or None, timeout=PATIENCE, connection=connection)

    found = ask().query_task(task_id) or {}
    worker = next((name for name, tasks in found.items() if task_id in tasks), None)
    if worker is None:
        if is_final(app, task_id):
            return
        raise NotCancelledError(
            "no worker answers for it: its worker does nothing else meanwhile (solo), or is lost"
        )
    pool = (ask(worker).stats() or {}).get(worker, {}).get("pool", {}).get("implementation", "")
    name = pool.partition(":")[0].rpartition(".")[2]
    if name not in CAN_END:
        raise NotCancelledError(f"it runs in a pool that cannot end a task: {name or 'unknown'}")
    app.control.revoke(
        task_id,
        destination=[worker],
        terminate=True,
        reply=True,
        timeout=PATIENCE,
        connection=connection,
    )
    is_final(app, task_id)
