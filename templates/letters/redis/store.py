"""Dead letters in Redis, the one of `store.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

from celery import Celery
from redis.exceptions import RedisError

from .. import store
from ..config.broker import LOCAL
from .dead_letters import DeadLetter, Store
from .local_letters import FOLDER, FileStore

#: What may go wrong with the server.
ERRORS = (RedisError,)

#: Letters read at once.
CHUNK = 200


def store_of(app: Celery) -> Store:
    """Return where the dead letters of an app are.

    Raises:
        NoStoreError: A server holds the queues, and there is no Redis for the letters.
    """
    if not store.url() and app.conf.broker_url.startswith(LOCAL):
        return FileStore(FOLDER)
    options = app.conf.broker_transport_options
    return RedisStore(store.client(), options.get("global_keyprefix", ""))


class RedisStore:
    """A sorted set of ids by time, a hash of letters, and one of replays.

    Args:
        client: Connected to Redis.
        prefix: Stands before the names of all keys.
    """

    def __init__(self, client: Any, prefix: str = "") -> None:
        self.client = client
        self.index, self.letters, self.replays = (
            prefix + store.key("dead-letters", name) for name in ("index", "letters", "replays")
        )

    def add(self, letter: DeadLetter) -> None:
        """Keep a letter."""
        with self.client.pipeline() as pipe:
            pipe.hsetnx(self.letters, letter.id, letter.to_json())
            failed_at = datetime.fromisoformat(letter.failed_at).timestamp()
            pipe.zadd(self.index, {letter.id: failed_at}, nx=True)
            pipe.execute()

    def open(self) -> AbstractContextManager[RedisStore]:
        """Every command is complete in itself."""
        return nullcontext(self)

    def __iter__(self) -> Iterator[DeadLetter]:
        start = 0
        while ids := self.client.zrevrange(self.index, start, start + CHUNK - 1):
            yield from self.read(ids)
            start += CHUNK

    def read(self, ids: list[Any]) -> Iterator[DeadLetter]:
        """Yield letters with their history."""
        with self.client.pipeline() as pipe:
            pipe.hmget(self.letters, ids)
            pipe.hmget(self.replays, ids)
            letters, replays = pipe.execute()
        for text, replayed in zip(letters, replays, strict=True):
            if text is not None:
                letter = DeadLetter.from_json(text)
                yield replace(letter, history=[json.loads(replayed)]) if replayed else letter

    def get(self, letter_id: str) -> DeadLetter | None:
        """Return a letter with its history."""
        return next(self.read([letter_id]), None)

    def claim(self, letter_id: str, replay: dict[str, Any]) -> bool:
        """Note a replay, unless there is one."""
        return bool(self.client.hsetnx(self.replays, letter_id, json.dumps(replay)))

    def release(self, letter_id: str) -> None:
        """Take the note back."""
        self.client.hdel(self.replays, letter_id)

    def discard(self, letter_id: str) -> bool:
        """Delete a letter; return whether there was one."""
        with self.client.pipeline() as pipe:
            pipe.hdel(self.letters, letter_id)
            pipe.hdel(self.replays, letter_id)
            pipe.zrem(self.index, letter_id)
            return bool(pipe.execute()[0])
