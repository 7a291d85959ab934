"""Unique tasks: a task is not sent again while one with the same arguments waits or runs.

    @app.task(base=UniqueTask, name="search.reindex")
    def reindex(shop_id: int) -> None: ...

While one waits or runs, `reindex.delay(7)` sends nothing and returns the id of the first. Do not
use it in a chain, group or chord: tasks that follow one that is not sent never run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from celery import signals
from celery.result import AsyncResult
from celery.utils import uuid
from celery.utils.log import get_logger
from redis.exceptions import RedisError

from ..redis import store
from ..tasks.base import BaseTask
from .calls import named
from .idempotency import script

logger = get_logger(__name__)

#: Takes or extends the lock of a task, and returns the id of the task that holds it.
TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class UniqueTask(BaseTask):
    """A task that is sent once. Its attributes are `unique_key` and `unique_for`."""

    #: What identifies equal calls, such as `"{shop_id}"`; by default, all arguments.
    unique_key: str | None = None
    #: How long the lock of a lost task is kept; it must be longer than a task waits and runs.
    unique_for = timedelta(hours=1)

    def lock_key(self, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> str:
        """Return the name of the lock."""
        name = named(self.run, self.unique_key, tuple(args or ()), dict(kwargs or {}))
        return store.key("unique", self.name, name)

    def take(self, place: str, task_id: str, wait: float = 0) -> str:
        """Take the lock if it is free, or extend our own; return the id of the holder."""
        expires = round((self.unique_for.total_seconds() + wait) * 1000)
        holder: bytes = script(TAKE)([place], [task_id, expires], client=store.client())
        return holder.decode()

    def apply_async(
        self,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        task_id: str | None = None,
        *others: Any,
        **options: Any,
    ) -> AsyncResult[Any]:
        """Send the task, or return the result of the one that is already waiting or running."""
        task_id = task_id or uuid()
        place = self.lock_key(args, kwargs)
        holder = self.take(place, task_id, float(options.get("countdown") or 0))
        if holder != task_id:
            return self.AsyncResult(holder)
        try:
            return super().apply_async(args, kwargs, task_id, *others, **options)
        except BaseException:
            release(self, task_id, args, kwargs)
            raise

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Extend the lock when the task starts."""
        try:
            self.take(self.lock_key(args, kwargs), task_id)
        except RedisError as error:
            logger.warning("Could not extend the lock of a unique task: %s", error)
        super().before_start(task_id, args, kwargs)

    def after_return(
        self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any
    ) -> None:
        """Release the lock."""
        release(self, task_id, args, kwargs)
        super().after_return(status, retval, task_id, args, kwargs, einfo)


def release(task: UniqueTask, task_id: str, args: Any, kwargs: Any) -> None:
    """Release the lock if this task holds it."""
    script(RELEASE)([task.lock_key(args, kwargs)], [task_id], client=store.client())


def failed(sender: Any, task_id: str, args: Any = None, kwargs: Any = None, **_: Any) -> None:
    """Release the lock of a task whose process was killed, since none of its methods is called."""
    if isinstance(sender, UniqueTask):
        release(sender, task_id, args, kwargs)


def revoked(sender: Any, request: Any, **_: Any) -> None:
    """Release the lock of a task that was revoked or has expired."""
    if isinstance(sender, UniqueTask):
        release(sender, request.id, request.args, request.kwargs)


signals.task_failure.connect(failed)
signals.task_revoked.connect(revoked)
