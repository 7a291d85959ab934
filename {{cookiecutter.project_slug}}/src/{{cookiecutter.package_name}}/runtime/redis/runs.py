"""Earlier runs of a message, by marks in a Redis: what has started is told from what was delivered.

The first start after a death is not held up, so the work of a dead worker goes on at once. A task
whose worker dies again is a suspect: it is sent again as a new message with the number of its
crashes, and starts some seconds later.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any
from uuid import uuid4

from celery.utils.log import get_logger
from redis.exceptions import RedisError

from .. import runs
from ..runs import Earlier, is_redelivered
from . import store
from .leases import LEASE, renewed

logger = get_logger(__name__)

#: How long the start of a suspect is remembered.
MEMORY_OF_STARTS = timedelta(days=7)

#: How long the only run of a message is remembered: a copy that comes later would start.
MEMORY = timedelta(days=90)
MEMORY_OF_ENDED = timedelta(days=7)

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


def started(request: Any, noted: int) -> str:
    """Return the key that is there when a task has been started after so many crashes."""
    return store.key("start", request.id, request.retries, noted)


def mark(task_id: str) -> str:
    """Return the key of the mark of a run that must be the only one."""
    return store.key("run", task_id)


def lease(task_id: str) -> str:
    """Return the key that is there while a run is alive."""
    return store.key("run", task_id, "lease")


def ask(question: Callable[[Any], object], *, unknown: object = True) -> bool:
    """Ask Redis; without one, a start is not told from a delivery."""
    try:
        return bool(question(store.client()) if store.url() else unknown)
    except RedisError as error:
        logger.warning("Starts are not told from deliveries: %s", error)
        return bool(unknown)


class Runs(runs.Runs):
    """Marks in the Redis of `store.py`; without one, as in development, what the broker says."""

    lease = LEASE
    errors = (RedisError,)

    def crashes(self, request: Any) -> int:
        """Return in how many runs before this one the process or the worker of a task died.

        Where nothing was noted, a message that was delivered before counts as one crash.
        """
        return super().crashes(request) or int(is_redelivered(request))

    def judge(self, request: Any) -> tuple[bool, int]:
        """Return whether the worker of a task has died once more, and in how many runs it has."""
        redelivered, noted = is_redelivered(request), super().crashes(request)
        if not redelivered and not noted:
            return False, 0
        so_far = self.crashes(request)
        if redelivered and ask(
            lambda client: client.exists(started(request, noted)), unknown=noted
        ):
            return True, so_far + 1
        ask(lambda client: client.set(started(request, noted), 1, ex=MEMORY_OF_STARTS))
        return False, so_far

    def start(self, request: Any) -> Earlier:
        """Note that the only run of a message starts, unless there was one.

        Raises:
            RedisError: Nobody can say.
        """
        if not store.url():
            return super().start(request)
        keys = mark(request.id), lease(request.id)
        arguments = uuid4().hex, round(MEMORY.total_seconds()), self.lease
        return Earlier(store.client().eval(START, len(keys), *keys, *arguments).decode())

    def alive(self, request: Any) -> AbstractContextManager[Any]:
        """Keep the lease of a run while a block goes on."""
        if not store.url():
            return nullcontext()
        place = lease(request.id)
        return renewed(lambda: store.client().expire(place, self.lease), self.lease)

    def end(self, request: Any) -> None:
        """Note that a run has succeeded: a copy of its message is dropped."""
        if store.url():
            store.client().set(mark(request.id), Earlier.ENDED.value, ex=MEMORY_OF_ENDED)

    def forget(self, request: Any) -> None:
        """Let a message start once more."""
        if store.url():
            store.client().delete(mark(request.id))
