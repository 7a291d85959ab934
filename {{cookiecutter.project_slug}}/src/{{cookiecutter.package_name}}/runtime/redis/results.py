"""The result backend of Celery for Redis, which also hears of results after a lost connection.

Whoever waits for a result has subscribed to it. If the connection breaks, for example because Redis
restarts, Celery reads the results first and subscribes anew then (celery/backends/redis.py,
`_reconnect_pubsub`): it never hears of one that is published in between. redis-py may also connect
and subscribe again without a word. 3 of 8 waits after a restart lasted until their timeout,
although the result was there (Celery 5.7, redis-py 8.1).
"""

from __future__ import annotations

from typing import Any

from celery.backends.redis import (  # type: ignore[attr-defined]
    RedisBackend,
    ResultConsumer,
    SentinelBackend,
)


class Consumer(ResultConsumer):  # type: ignore[misc]
    """What waits for results: after a new connection, it reads those that it may have missed."""

    #: Whether a new connection was made since the last reading.
    is_behind = False

    def note(self, _: Any) -> None:
        """Remember that there is a new connection, which has subscribed."""
        self.is_behind = True

    def _watch(self) -> None:
        """Have `note` called whenever the connection is made again."""
        if connection := self._pubsub.connection:
            connection.register_connect_callback(self.note)

    def _consume_from(self, task_id: str) -> None:
        super()._consume_from(task_id)
        self._watch()

    def _reconnect_pubsub(self) -> None:
        super()._reconnect_pubsub()
        self._watch()
        self.is_behind = True

    def drain_events(self, timeout: float | None = None) -> None:
        """Wait for messages for at most so many seconds."""
        super().drain_events(timeout)
        if self.is_behind:
            with self._locked(), self.reconnect_on_error():
                self.is_behind = False
                self._catch_up()

    def _catch_up(self) -> None:
        """Read the results that somebody waits for."""
        keys = list(self.subscribed_to)
        for value in filter(None, self.backend.client.mget(keys) if keys else ()):
            self.on_state_change(self.backend.decode_result(value), None)


class Results(RedisBackend):
    """Results in a Redis."""

    ResultConsumer = Consumer


class SentinelResults(SentinelBackend):
    """Results in a Redis to which Sentinels lead."""

    ResultConsumer = Consumer
