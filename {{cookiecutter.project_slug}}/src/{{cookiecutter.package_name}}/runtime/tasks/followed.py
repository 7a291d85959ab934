"""Tasks that can be followed by id: known as soon as they are sent, and cancelled for good.

    task_id = followed.send(reports.totals, {"source": "sales.csv", ...})
    followed.look(app, task_id)
    followed.cancel(app, task_id)

Celery reports `PENDING` both for a waiting task and for an id that never existed. Its revoke
reaches only workers that run at that moment, and they forget it when they end. So here the result
store keeps two records: the state `SENT`, written before a task is published, and a mark for each
cancelled task, which a task looks for before it starts. A caller may also have the name of a task
recorded, because a result does not hold it. Records expire like results, after
`CELERY_RESULT_EXPIRES`.
"""

from __future__ import annotations

import os
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

#: States of a task that is waiting to be run by a worker.
WAITING = {SENT, states.RETRY}

#: Header of tasks that look for a cancellation mark before they start.
FOLLOWED_HEADER = "x-followed"

#: Pools that can end a task, by the module of their class.
CAN_END = ("prefork", "gevent", "eventlet")

#: Seconds to wait for the answers of workers.
PATIENCE = 0.8


class UnknownTaskError(Exception):
    """No task with this id was sent, or its records have expired."""


class NotCancelledError(Exception):
    """A task cannot be cancelled; the message says why."""


class Followed(Cancellation, Part):
    """A part by which tasks that were sent with `send` can be cancelled for good."""

    def install(self, app: Any) -> None:
        """Make every task look for its cancellation mark before it starts."""
        app.cancellation = self

    def check(self, task: Any) -> None:
        """Stop a task that was cancelled before it starts.

        Raises:
            Ignore: It was cancelled.
        """
        check(task)


class Report(NamedTuple):
    """A report about a task: its state, and its result, error or progress."""

    state: str
    info: Any


@contextmanager
def noted(app: Celery, task_id: str, name: str = "") -> Iterator[None]:
    """Record a task as sent while this block publishes it; undo that if publishing fails.

    Args:
        app: The app.
        task_id: Its id.
        name: Its name, if `name_of` shall find it.
    """
    app.backend.store_result(task_id, None, SENT)
    try:
        if name:
            app.backend.store_result(label(task_id), name, SENT)
        yield
    except BaseException:
        app.backend.forget(task_id)
        app.backend.forget(label(task_id))
        raise


def send(
    task: Task[Any, Any], kwargs: Mapping[str, Any], *, with_name: bool = False, **options: Any
) -> str:
    """Send a task that keeps its result, and return its id.

    Args:
        task: The task.
        kwargs: Its arguments.
        with_name: Whether `name_of` shall find its name.
        options: Options of `apply_async`.
    """
    task_id = str(uuid4())
    headers = {**(options.pop("headers", None) or {}), FOLLOWED_HEADER: "yes"}
    with noted(task.app, task_id, str(task.name) if with_name else ""):
        result = task.apply_async(
            kwargs=dict(kwargs),
            task_id=task_id,
            headers=headers,
            ignore_result=False,
            **options,
        )
    if result.id != task_id:  # a unique task that was sent before
        task.app.backend.forget(task_id)
        task.app.backend.forget(label(task_id))
    return str(result.id)


def look(app: Celery, task_id: str) -> Report:
    """Return a report about a task.

    Raises:
        UnknownTaskError: Nothing is known about it.
    """
    meta = app.backend.get_task_meta(task_id, cache=False)
    if meta["status"] == states.PENDING:
        raise UnknownTaskError(
            f"there is no task {task_id}: it was never sent, or its records have expired"
        )
    return Report(meta["status"], meta["result"])


def label(task_id: str) -> str:
    """Return the name of the record with the name of a task."""
    return f"name-{task_id}"


def name_of(app: Celery, task_id: str) -> str | None:
    """Return the name of a task, if it was recorded when the task was sent."""
    meta = app.backend.get_task_meta(label(task_id), cache=False)
    return str(meta["result"]) if meta["status"] == SENT else None


def mark(task_id: str) -> str:
    """Return the name of the mark of a cancelled task."""
    return f"cancelled-{task_id}"


def is_cancelled(app: Celery, task_id: str) -> bool:
    """Whether a task was cancelled and must not start."""
    status: str = app.backend.get_task_meta(mark(task_id), cache=False)["status"]
    return status != states.PENDING


def check(task: Task[Any, Any]) -> None:
    """Stop a task that was cancelled before it starts.

    The start is recorded before the mark is looked for, and `cancel` does it the other way round.
    At least one of the two sees the other, so a task that was reported as cancelled never runs.

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
    """Cancel a task: a waiting one will never start, a running one is ended.

    Args:
        app: The app.
        task_id: Its id.
        connection: A connection to the broker, for finding the worker that runs the task.

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
        if look(app, task_id).state != states.REVOKED:  # the task may have seen the mark
            raise


def is_final(app: Celery, task_id: str) -> bool:
    """Whether a task was cancelled.

    Raises:
        NotCancelledError: It has ended in another way.
    """
    state = look(app, task_id).state
    if state in states.READY_STATES - {states.REVOKED}:
        raise NotCancelledError(f"the task has ended already: {state}")
    return state == states.REVOKED


def end(app: Celery, task_id: str, connection: Connection | None) -> None:
    """End a running task.

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
            "the task is running, but its worker does not answer: either its pool is solo, which"
            " answers nothing while a task runs, or the worker is lost"
        )
    pool = (ask(worker).stats() or {}).get(worker, {}).get("pool", {}).get("implementation", "")
    name = pool.partition(":")[0].rpartition(".")[2]
    if name not in CAN_END:
        raise NotCancelledError(
            f"the task is running in a pool that cannot end a task: {name or 'unknown'}"
        )
    app.control.revoke(
        task_id,
        destination=[worker],
        terminate=True,
        reply=True,
        timeout=PATIENCE,
        connection=connection,
    )
    is_final(app, task_id)
