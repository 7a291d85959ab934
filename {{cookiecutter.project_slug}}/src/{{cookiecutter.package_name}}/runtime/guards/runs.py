"""Which runs of tasks that must not run twice have started.

A broker delivers a message again when its worker has died, whether it had started the task or not.
A mark that is left before a run says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from ..redis import store
from .leases import LEASE, renewed

#: How long a run is remembered: a copy of its message that comes later would start.
MEMORY = timedelta(days=90)
MEMORY_OF_ENDED = timedelta(days=7)


class Earlier(StrEnum):
    """What is known of an earlier run of the same message."""

    NONE = "none"
    RUNS = "runs"
    LOST = "lost"
    ENDED = "ended"


#: Keys: mark, lease. Arguments: token, seconds of both. The same token comes twice when redis-py
#: missed an answer and asks again.
START = """
local mark = redis.call('GET', KEYS[1])
if mark and mark ~= ARGV[1] then
  if mark == 'ended' then return 'ended' end
  return redis.call('EXISTS', KEYS[2]) == 1 and 'runs' or 'lost'
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('SET', KEYS[2], 1, 'EX', ARGV[3])
return 'none'
"""


def mark(task_id: str) -> str:
    """Return the key of the mark of a run that must be the only one."""
    return store.key("run", task_id)


def lease(task_id: str) -> str:
    """Return the key that is there while a run is alive."""
    return store.key("run", task_id, "lease")


def start(request: Any) -> Earlier:
    """Note that the only run of a message starts, unless there was one.

    Without a Redis, as in development, what is delivered twice counts as started.
    """
    if not store.url():
        return Earlier.LOST if request.delivery_info.get("redelivered") else Earlier.NONE
    keys = mark(request.id), lease(request.id)
    arguments = uuid4().hex, round(MEMORY.total_seconds()), LEASE
    return Earlier(store.client().eval(START, len(keys), *keys, *arguments).decode())


@contextmanager
def alive(request: Any) -> Iterator[None]:
    """Keep the lease of a run."""
    if not store.url():
        yield
        return
    with renewed(lambda: store.client().expire(lease(request.id), LEASE), LEASE):
        yield


def end(request: Any) -> None:
    """Note that a run has succeeded: a copy of its message is dropped, and is no letter."""
    if store.url():
        store.client().set(mark(request.id), Earlier.ENDED.value, ex=MEMORY_OF_ENDED)


def forget(request: Any) -> None:
    """Let a message start once more."""
    if store.url():
        store.client().delete(mark(request.id))
