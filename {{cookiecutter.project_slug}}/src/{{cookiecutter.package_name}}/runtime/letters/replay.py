"""Replay dead letters: send the tasks that failed once more."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celery.app.task import Context
from celery.exceptions import QueueNotFound

from .letter import PERIODIC_HEADER, DeadLetter, now
from .store import DeadLetterError, Letters

if TYPE_CHECKING:
    from celery import Celery

#: Header of a replayed task: the id of its dead letter.
REPLAY_HEADER = "x-replay-of"

#: Headers that brokers, beat and `tasks/base.py` add to a message; a replay does not repeat them.
DELIVERY_HEADERS = (
    *("x-death", "x-first-death-", "x-last-death-", "x-delivery-"),
    *("x-crashes", PERIODIC_HEADER),
)


def replay(
    app: Celery, letters: Letters, letter_id: str, by: str | None = None, task_id: str = ""
) -> str:
    """Send the task of a dead letter again, as a new task, and return its id.

    The new task has the arguments, queue, priority, context, callbacks and remaining chain of the
    first one; its retries start from zero. It is not part of a chord, which has failed by then.

    Args:
        app: The app that sends it.
        letters: The open store of dead letters.
        letter_id: Its id.
        by: Who asked for the replay; by default, the user of this process.
        task_id: The id of the new task; by default, a random one.

    Raises:
        DeadLetterError: The dead letter does not exist, was replayed before, or cannot be replayed.
    """
    letter = letters.get(letter_id)
    if letter is None:
        raise DeadLetterError(
            f"there is no dead letter {letter_id}: run `dead-letters list` to see them"
        )
    if letter.args is None or not letter.task:
        raise DeadLetterError(
            f"{letter_id} cannot be replayed, because its message is unreadable:"
            f" run `dead-letters show {letter_id}` to see it"
        )
    task_id = task_id or str(uuid4())
    note = {"at": now(), "by": by or getpass.getuser(), "as_id": task_id}
    if not letters.claim(letter_id, note):
        current = letters.get(letter_id)
        last = current.history[-1] if current and current.history else {}
        raise DeadLetterError(
            f"{letter_id} was replayed at {last.get('at')} by {last.get('by')}"
            f" as {last.get('as_id')}: if that task failed too, replay its dead letter"
        )
    try:
        app.send_task(letter.task, letter.args, letter.kwargs, **options(letter, task_id))
    except QueueNotFound:
        letters.release(letter_id)
        raise DeadLetterError(
            f"{letter_id} cannot be replayed, because queues.py has no queue {letter.queue!r}:"
            " add the queue, or discard the dead letter"
        ) from None
    except BaseException:
        letters.release(letter_id)
        raise
    return task_id


def options(letter: DeadLetter, task_id: str) -> dict[str, Any]:
    """Return the options with which the task of a dead letter is sent."""
    headers = letter.headers
    hard, soft = headers.get("timelimit") or (None, None)
    custom = {
        name: value
        for name, value in headers.items()
        if not hasattr(Context, name) and not name.startswith(DELIVERY_HEADERS)
    }
    options = {
        "task_id": task_id,
        "queue": letter.queue or None,
        "priority": letter.priority,
        "headers": {**custom, REPLAY_HEADER: letter.id},
        "root_id": headers.get("root_id"),
        "parent_id": letter.id,
        "shadow": headers.get("shadow"),
        "time_limit": hard,
        "soft_time_limit": soft,
        "ignore_result": headers.get("ignore_result"),
        "link": letter.embed.get("callbacks"),
        "link_error": letter.embed.get("errbacks"),
        "chain": letter.embed.get("chain"),
    }
    return {name: value for name, value in options.items() if value is not None}


def replay_all(
    app: Celery,
    letters: Letters,
    letter_ids: Iterable[str],
    per_second: float | None = None,
    progress: Callable[[], object] = lambda: None,
) -> tuple[int, list[str]]:
    """Replay dead letters at a limited rate; return how many, and why others were refused."""
    replayed, refused = 0, []
    start = monotonic()
    for letter_id in letter_ids:
        if per_second:
            sleep(max(0.0, start + replayed / per_second - monotonic()))
        try:
            replay(app, letters, letter_id)
            replayed += 1
        except DeadLetterError as error:
            refused.append(str(error))
        progress()
    return replayed, refused
