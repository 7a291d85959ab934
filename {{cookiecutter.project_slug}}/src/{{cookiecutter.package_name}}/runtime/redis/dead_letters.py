"""Dead letters in the project's Redis (`store.py`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

from celery import Celery
from redis.exceptions import RedisError

from ..broker import scheme
from ..config.urls import MEMORY
from ..letters.files import FileStore
from ..letters.letter import DeadLetter
from ..letters.store import Store
from . import store

#: How many dead letters are read at once.
CHUNK = 200


class DeadLetters(Store):
    """A store made of a sorted set of ids by time, and hashes of dead letters, replays and repeats.

    Args:
        client: Connected to Redis.
        prefix: A prefix for the names of all keys.
    """

    errors = (RedisError,)

    @classmethod
    def of(cls, app: Celery) -> Store:
        """Return the store of an app's dead letters.

        Raises:
            NoStoreError: The queues are on a server, but there is no Redis for dead letters.
        """
        if not store.url() and scheme(app) == MEMORY:
            return FileStore.of(app)
        options = app.conf.broker_transport_options
        return cls(store.client(), options.get("global_keyprefix", ""))

    def __init__(self, client: Any, prefix: str = "") -> None:
        self.client = client
        names = ("index", "letters", "replays", "repeats")
        self.index, self.letters, self.replays, self.repeats = (
            prefix + store.key("dead-letters", name) for name in names
        )

    def add(self, letter: DeadLetter) -> None:
        """Store a dead letter."""
        with self.client.pipeline() as pipe:
            pipe.hsetnx(self.letters, letter.id, letter.to_json())
            failed_at = datetime.fromisoformat(letter.failed_at).timestamp()
            pipe.zadd(self.index, {letter.id: failed_at}, nx=True)
            is_new, _ = pipe.execute()
        if letter.is_periodic and not is_new:
            with self.client.pipeline() as pipe:
                pipe.hincrby(self.repeats, letter.id, 1)
                pipe.hset(self.repeats, last_of(letter.id), letter.failed_at)
                pipe.execute()

    def trim(self, before: str, number: int, archive: Callable[[DeadLetter], object]) -> int:
        """Delete the oldest dead letters, at most `CHUNK`."""
        until = datetime.fromisoformat(before).timestamp()
        with self.client.pipeline() as pipe:
            pipe.zcount(self.index, "-inf", f"({until}")
            pipe.zcard(self.index)
            old, total = pipe.execute()
        excess = min(max(old, total - number), CHUNK)
        ids = self.client.zrange(self.index, 0, excess - 1) if excess > 0 else []
        for letter in self.read(ids) if ids else ():
            archive(letter)
        return sum(self.discard(letter_id) for letter_id in ids)

    def count(self) -> int:
        """Return how many dead letters there are."""
        return int(self.client.zcard(self.index))

    def open(self) -> AbstractContextManager[DeadLetters]:
        """Return the store itself, since every command is complete in itself."""
        return nullcontext(self)

    def __iter__(self) -> Iterator[DeadLetter]:
        start = 0
        while ids := self.client.zrevrange(self.index, start, start + CHUNK - 1):
            yield from self.read(ids)
            start += CHUNK

    def read(self, ids: list[Any]) -> Iterator[DeadLetter]:
        """Yield dead letters with their history."""
        with self.client.pipeline() as pipe:
            pipe.hmget(self.letters, ids)
            pipe.hmget(self.replays, ids)
            pipe.hmget(self.repeats, ids)
            pipe.hmget(self.repeats, [last_of(letter_id) for letter_id in ids])
            found = pipe.execute()
        for text, replayed, times, last in zip(*found, strict=True):
            if text is not None:
                letter = DeadLetter.from_json(text)
                if times is not None:
                    letter = letter.again(int(times), last.decode())
                yield replace(letter, history=[json.loads(replayed)]) if replayed else letter

    def get(self, letter_id: str) -> DeadLetter | None:
        """Return a dead letter with its history."""
        return next(self.read([letter_id]), None)

    def claim(self, letter_id: str, replay: dict[str, Any]) -> bool:
        """Record a replay, unless one is recorded already."""
        return bool(self.client.hsetnx(self.replays, letter_id, json.dumps(replay)))

    def release(self, letter_id: str) -> None:
        """Remove the record of a replay."""
        self.client.hdel(self.replays, letter_id)

    def discard(self, letter_id: str) -> bool:
        """Delete a dead letter; return whether it existed."""
        with self.client.pipeline() as pipe:
            pipe.hdel(self.letters, letter_id)
            pipe.hdel(self.replays, letter_id)
            pipe.hdel(self.repeats, letter_id, last_of(letter_id))
            pipe.zrem(self.index, letter_id)
            return bool(pipe.execute()[0])


def last_of(letter_id: str | bytes) -> str:
    """Return the name of the field with the time of the last repeat of a dead letter."""
    text = letter_id.decode() if isinstance(letter_id, bytes) else letter_id
    return f"{text} last"
