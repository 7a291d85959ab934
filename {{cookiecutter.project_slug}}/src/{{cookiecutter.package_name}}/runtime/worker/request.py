"""Handling of messages in a worker's main process, in the context of each message.

No task runs there (except under solo and in threads), but the main process logs that a task was
received, and handles a task whose process was killed: it logs that, and publishes the retry or the
error callbacks. It also sees every failure in every pool, which `Task.on_failure` does not, and
writes the dead letters.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from weakref import WeakSet

from celery.exceptions import (
    Ignore,
    InvalidTaskError,
    Reject,
    Retry,
    TaskRevokedError,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
)
from celery.signals import task_retry
from celery.utils.log import get_logger
from celery.worker import request, state
from celery.worker.strategy import default

from ..context import handling
from ..letters import writing
from ..letters.letter import DeadLetter, Reason, is_json, timestamp
from ..letters.messages import queue_of
from ..runs import CRASHES_HEADER, SUSPICIOUS

logger = get_logger(__name__)

#: Celery's types lack most of what is used here.
BaseRequest: Any = request.Request


def strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Handle messages as Celery does, with their context."""
    handle = default(task, app, consumer, **options)

    def handle_message(message: Any, *args: Any, **kwargs: Any) -> Any:
        check_form(message)
        return handling(message.headers or {}, handle, message, *args, **kwargs)

    return handle_message


def check_form(message: Any) -> None:
    """Refuse a message that would raise an error in Celery and end the worker.

    Raises:
        InvalidTaskError: The message is not a task.
    """
    match message.payload:
        case [[*_], dict(), dict() | None] if message.headers.get("id"):
            pass
        case {"args": _}:  # older protocols
            pass
        case _:
            raise InvalidTaskError("the body is not [args, kwargs, embed], or there is no id")


#: Suspects that were handed to the pool, including ended ones until they are garbage-collected.
RUNNING_SUSPECTS: WeakSet[Any] = WeakSet()

#: In most pools, timers hand tasks over in a thread of their own.
SUSPECTS_LOCK = Lock()

#: Errors that mean that the process of a task was lost.
LOST = (SystemExit, KeyboardInterrupt, WorkerLostError)


class Request(BaseRequest):  # type: ignore[misc]
    """A message that the worker has received."""

    #: Whether its dead letter was stored; None while there is none.
    letter_kept: bool | None = None
    #: The error that ended a run, the name of its class, and its traceback.
    error: Any = None
    error_class = ""
    traceback = ""
    #: The id of the dead letter, and whether that is an error that was not seen lately.
    letter_id = ""
    is_news = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make suspects of a crash run one at a time, and let the observer note each success.

        Each task has its own class of requests, which hands them to the pool and ends them in its
        own way (celery/worker/request.py, `create_request_cls`).
        """
        super().__init_subclass__(**kwargs)
        hand_over, end = cls.execute_using_pool, cls.on_success

        def execute_using_pool(self: Request, pool: Any, **options: Any) -> Any:
            if self.another_suspect_runs() and self.put_back():
                raise TaskRevokedError(self.id)  # it was not handed over, so its slot is free
            return hand_over(self, pool, **options)

        def on_success(self: Request, outcome: Any, **options: Any) -> Any:
            failed, _, seconds = outcome
            if not failed:
                self._app.observer.succeeded(self, seconds)
            return end(self, outcome, **options)

        cls.execute_using_pool, cls.on_success = execute_using_pool, on_success

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - the name is Celery's
        """Let the observer note what Celery tells those who listen to events, if anybody does."""
        if type != "task-succeeded":
            self._app.observer.note(self, type)
        elif fields["runtime"] is None:  # its process was lost after it had stored its result
            self._app.observer.succeeded(self, None)
        super().send_event(type, **fields)

    def another_suspect_runs(self) -> bool:
        """Whether this task and one that is running in this worker are both suspects.

        If they ran side by side and the worker died, nobody would know which of them killed it. A
        suspect whose worker has died once more does not run, but is counted (`Runs.judge`): to send
        it again instead would lose that count.
        """
        runs, context = self._app.runs, self._context
        if runs.crashes(context) < SUSPICIOUS or runs.died(context):
            return False
        with SUSPECTS_LOCK:
            if any(other in state.reserved_requests for other in RUNNING_SUSPECTS):
                return True
            RUNNING_SUSPECTS.add(self)
            return False

    def put_back(self) -> bool:
        """Send a task that cannot start now again for later; return whether that succeeded."""
        task, context = self.task, self._context
        wait = task.default_retry_delay * random.uniform(1, 3)  # noqa: S311
        if not self.send_again(wait, headers=context.headers):
            return False
        logger.info("%s[%s] waits, as another suspect of a crash runs", self.name, self.id)
        state.task_ready(self)
        self.acknowledge()
        return True

    def send_again(self, wait: float, headers: dict[str, Any]) -> bool:
        """Send a task again unchanged; return whether that succeeded.

        Args:
            wait: Seconds until it starts.
            headers: Headers to add.
        """
        task, context = self.task, self._context
        again = task.signature_from_request(
            context, countdown=wait, retries=context.retries, headers=headers
        )
        try:
            again.apply_async()
        except Exception:
            logger.exception("Could not send %s[%s] again", self.name, self.id)
            return False
        return True

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Handle the end of a task that took too long."""
        if not soft and not state.should_terminate:
            error = TimeLimitExceeded(timeout)
            self.error, self.error_class = error, class_of(error)
            self.write_letter(error)
        handling(self.request_dict, super().on_timeout, soft, timeout)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """Handle the end of a task that failed, or whose process was lost."""
        error = error_of(exc_info)
        self.error, self.error_class = error, class_of(error)
        self.traceback = str(exc_info.traceback or "")
        if self.may_run_again(error) and handling(self.request_dict, self.run_again, exc_info):
            return
        if self.is_final(error):
            self.write_letter(error, self.traceback)
        if isinstance(error, MemoryError):
            self.end_out_of_memory(error, exc_info)
            return
        handling(self.request_dict, super().on_failure, exc_info, *args, **kwargs)

    def end_out_of_memory(self, error: MemoryError, exc_info: Any) -> None:
        """Make a task that ran out of memory end like any other failure.

        Celery raises the error in the main process, and the message is never acknowledged
        (celery/worker/request.py, `on_failure`).
        """
        state.task_ready(self)
        if self.task.acks_late:
            self.acknowledge()
        self.send_event("task-failed", exception=repr(error), traceback=str(exc_info.traceback))

    def is_final(self, error: Any) -> bool:
        """Whether nothing will run this task again."""
        if isinstance(error, LOST):
            return not self.has_ended_otherwise()
        if isinstance(error, Reject):
            return not getattr(error, "requeue", False)
        return not isinstance(error, Ignore | Retry | Terminated)

    def has_ended_otherwise(self) -> bool:
        """Whether the task had already been stopped or finished when its process was lost."""
        return bool(self._already_cancelled or self._already_revoked or self._success_was_stored())

    def may_run_again(self, error: Any) -> bool:
        """Whether a task whose process was lost may run again: it is below the limit of crashes."""
        return (
            isinstance(error, LOST)
            and bool(self.task.retry_on_worker_lost)
            and self._app.runs.crashes(self._context) + 1 < self.task.max_crashes
            and not self.has_ended_otherwise()
        )

    def run_again(self, exc_info: Any) -> bool:
        """Send a task whose process was lost again; return whether that succeeded.

        Only the count of crashes grows. Celery's own method would use up a retry
        (celery/worker/request.py, `_retry_worker_lost`), but only errors should.
        """
        task, context = self.task, self._context
        crashes = self._app.runs.crashes(context) + 1
        headers = {**(context.headers or {}), CRASHES_HEADER: crashes}
        if not self.send_again(task.default_retry_delay, headers):
            return False
        state.task_ready(self)
        error = error_of(exc_info)
        if not isinstance(error, WorkerLostError):  # such as the SystemExit of a signal
            error = WorkerLostError(repr(error))
        if self.store_errors:
            task.backend.mark_as_retry(self.id, error, exc_info.traceback, request=context)
        if task.acks_late:
            self.acknowledge()
        self.send_event("task-retried", exception=repr(error), traceback=str(exc_info.traceback))
        reason = Retry(exc=error, when=task.default_retry_delay)
        task.request_stack.push(context)
        try:
            task.on_retry(error, self.id, self.args, self.kwargs, exc_info)
            task_retry.send(sender=task, request=context, reason=reason, einfo=exc_info)
        finally:
            task.request_stack.pop()
        return True

    def _retry_worker_lost(self, exc: Exception, exc_info: Any) -> bool:
        """Do nothing more: `run_again` was called before."""
        return False

    def write_letter(self, error: Any, traceback: str = "") -> None:
        """Write a dead letter before the message is acknowledged."""
        letter = self.letter(error, traceback)
        kept = handling(self.request_dict, writing.store, self.app, letter)
        self.letter_kept = bool(self.letter_kept or kept)
        if kept:
            self.letter_id, self.is_news = kept.id, writing.is_news(kept)

    def acknowledge(self) -> None:
        """Acknowledge the message, or let RabbitMQ dead-letter it if we could not store it."""
        if self.letter_kept is False:
            super().reject(requeue=False)
        else:
            super().acknowledge()

    def reject(self, requeue: bool = False) -> None:
        """Reject the message; if its dead letter was stored, acknowledge it instead."""
        if self.letter_kept and not requeue:
            super().acknowledge()
            self.send_event("task-rejected", requeue=False)
        else:
            super().reject(requeue)

    def letter(self, error: Any, traceback: str) -> DeadLetter:
        """Return a dead letter for this failure."""
        cause = getattr(error, "reason", error) if isinstance(error, Reject) else error
        args, kwargs, embed = self._payload
        delivery = self.delivery_info
        headers = self.message.headers or {}
        return DeadLetter(
            id=self.id,
            task=self._type,
            reason=reason_of(error),
            queue=queue_of(delivery, {}),
            args=list(args),
            kwargs=kwargs,
            priority=delivery.get("priority"),
            headers={name: value for name, value in headers.items() if is_json(value)},
            embed=embed or {},
            error=class_of(cause),
            text=str(getattr(cause, "text", cause)),
            traceback=traceback,
            attempts=(headers.get("retries") or 0) + int(headers.get(CRASHES_HEADER) or 0) + 1,
            worker=self._hostname,
            started_at=self.started_at(),
        )

    def started_at(self) -> str | None:
        """Return when the task started, if it has."""
        if self.time_start is None:
            return None
        return timestamp(datetime.fromtimestamp(self.time_start, UTC))


#: The billiard class that carries an error between processes.
WRAPPER = "ExceptionWithTraceback"


def error_of(exc_info: Any) -> BaseException:
    """Return the error that a process sent, without the wrapper that carries its traceback."""
    error: BaseException = exc_info.exception
    return getattr(error, "exc", error) if type(error).__name__ == WRAPPER else error


def class_of(error: object) -> str:
    """Return the name of an error's class, even if the error could not be pickled."""
    return str(getattr(error, "exc_cls_name", type(error).__name__))


def reason_of(error: Any) -> str:
    """Return the reason of a dead letter with this error."""
    if isinstance(error, Reject):
        cause = getattr(error, "reason", None)
        return str(getattr(cause, "letter_reason", Reason.REJECTED))
    if isinstance(error, TimeLimitExceeded):
        return Reason.TIME_LIMIT
    if isinstance(error, LOST):
        return Reason.WORKER_LOST
    return Reason.FAILED
