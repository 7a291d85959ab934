"""Tasks that may have killed their worker: without a cap one of them would do so for ever.

Starts of what was delivered before count, not deliveries: a lost connection gives back messages
that were never started. The first such start is not held up, so the work of a dead worker goes on
at once. A task whose worker dies again is a suspect. It is sent again as a new message with the
count, and starts some seconds later, while no other suspect runs in its worker: so what only ran
beside the culprit ends well, and the culprit is known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import Any

from celery.utils.log import get_logger
from redis.exceptions import RedisError

from .. import limits, store

logger = get_logger(__name__)

#: Header with the number of runs in which the process or the whole worker died.
CRASHES_HEADER = "x-crashes"

#: After so many crashes a task is a suspect; after one it may only have run beside the culprit.
SUSPICIOUS = 2

#: How long a start is remembered.
MEMORY = timedelta(days=7)


class Verdict(StrEnum):
    """What is to be done with a task that is about to start."""

    START = "start"
    WAIT = "wait"  # another suspect runs in this worker
    CRASHED = "crashed"  # its worker died once more


def crashes(request: Any) -> int:
    """Return in how many runs before this one the process or the worker of a task died.

    Where nothing was noted, a message that was delivered before counts as one crash.
    """
    noted = int((request.headers or {}).get(CRASHES_HEADER, 0))
    return noted or int(bool((request.delivery_info or {}).get("redelivered")))


def judge(request: Any) -> tuple[Verdict, int]:
    """Return what is to be done with a task, and in how many runs it crashed."""
    redelivered = (request.delivery_info or {}).get("redelivered")
    noted = int((request.headers or {}).get(CRASHES_HEADER, 0))
    if not redelivered and not noted:
        return Verdict.START, 0
    so_far = crashes(request)
    if redelivered and ask(lambda client: client.exists(started(request, noted)), unknown=noted):
        end(request)
        return Verdict.CRASHED, so_far + 1
    if noted >= SUSPICIOUS and not ask(lambda client: is_alone(client, request)):
        return Verdict.WAIT, so_far
    ask(lambda client: client.set(started(request, noted), 1, ex=MEMORY))
    return Verdict.START, so_far


def started(request: Any, noted: int) -> str:
    """Return the key that is there when a task has been started after so many crashes."""
    return store.key("start", request.id, request.retries, noted)


def suspect(request: Any) -> str:
    """Return the key with the id of the suspect that runs in a worker."""
    return store.key("suspect", request.hostname)


def is_alone(client: Any, request: Any) -> bool:
    """Whether no other suspect runs in this worker; from now on, this one does."""
    place, task_id = suspect(request), request.id
    free = client.set(place, task_id, nx=True, ex=ceil(limits.in_force().hard))
    return bool(free) or client.get(place) == task_id.encode()


def end(request: Any) -> None:
    """Let the next suspect of a worker start, if it was this one that ran."""
    if CRASHES_HEADER in (request.headers or {}):
        place, task_id = suspect(request), request.id
        ask(lambda client: client.get(place) == task_id.encode() and client.delete(place))


def ask(question: Callable[[Any], object], *, unknown: object = True) -> bool:
    """Ask Redis; without one, suspects are not told apart."""
    try:
        return bool(question(store.client()) if store.url() else unknown)
    except RedisError as error:
        logger.warning("Suspects of a crash are not told apart: %s", error)
        return bool(unknown)
