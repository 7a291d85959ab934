"""Records of earlier runs in Redis, by which it is known which messages were started before.

The first start after a crash is not delayed, so the work of a dead worker goes on at once. If a
task's worker dies again, the task is a suspect: it is sent again as a new message with its number
of crashes, and starts some seconds later.
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

#: How long the only run of a message is remembered; a copy that arrives later would start.
MEMORY = timedelta(days=90)
MEMORY_OF_ENDED = timedelta(days=7)

#: Keys: mark, lease. Arguments: token, seconds of both. The same token comes twice if redis-py
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
    """Return the key that exists once a task was started after this many crashes."""
    return store.key("start", request.id, request.retries, noted)


def mark(task_id: str) -> str:
    """Return the key that records a run that must be the only one."""
    return store.key("run", task_id)


def lease(task_id: str) -> str:
    """Return the key that exists while a run is alive."""
    return store.key("run", task_id, "lease")


def ask(question: Callable[[Any], object], *, unknown: object = True) -> bool:
    """Ask Redis; if it does not answer, return the answer for an unknown start."""
    try:
        return bool(question(store.client()) if store.url() else unknown)
    except RedisError as error:
        logger.warning("Redis cannot say which messages were started before: %s", error)
        return bool(unknown)


class Runs(runs.Runs):
    """Records of runs in the project's Redis; without one, as in development, the broker's view."""

    lease = LEASE
    errors = (RedisError,)

    def crashes(self, request: Any) -> int:
        """Return how many earlier runs of a task ended with the death of its process or worker.

        If nothing was recorded, a message that was delivered before counts as one crash.
        """
        return super().crashes(request) or int(is_redelivered(request))

    def died(self, request: Any, *, unknown: object = False) -> bool:
        """Return whether a message was delivered again after a recorded start.

        Args:
            request: The message.
            unknown: The answer if Redis does not answer.
        """
        key = started(request, super().crashes(request))
        return is_redelivered(request) and ask(lambda client: client.exists(key), unknown=unknown)

    def judge(self, request: Any) -> tuple[bool, int]:
        """Return whether a task's worker has died once more, and how often that has happened."""
        noted = super().crashes(request)
        if not is_redelivered(request) and not noted:
            return False, 0
        so_far = self.crashes(request)
        if self.died(request, unknown=noted):
            return True, so_far + 1
        ask(lambda client: client.set(started(request, noted), 1, ex=MEMORY_OF_STARTS))
        return False, so_far

    def start(self, request: Any) -> Earlier:
        """Record the start of the only run of a message, unless there was one.

        Raises:
            RedisError: Redis cannot be asked.
        """
        if not store.url():
            return super().start(request)
        keys = mark(request.id), lease(request.id)
        arguments = uuid4().hex, round(MEMORY.total_seconds()), self.lease
        return Earlier(store.client().eval(START, len(keys), *keys, *arguments).decode())

    def alive(self, request: Any) -> AbstractContextManager[Any]:
        """Renew the lease of a run while a block runs."""
        if not store.url():
            return nullcontext()
        place = lease(request.id)
        return renewed(lambda: store.client().expire(place, self.lease), self.lease)

    def end(self, request: Any) -> None:
        """Record that a run has succeeded, so that copies of its message are dropped."""
        if store.url():
            store.client().set(mark(request.id), Earlier.ENDED.value, ex=MEMORY_OF_ENDED)

    def forget(self, request: Any) -> None:
        """Delete the record of a run, so that its message can start again."""
        if store.url():
            store.client().delete(mark(request.id))
