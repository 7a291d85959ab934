"""Dead letters in a queue of RabbitMQ, for a project without a database.

The queue holds letters and, behind them, a note for each replay: nothing in it is ever changed.
Whoever opens it takes everything, keeps it unacknowledged, and gives it back in its old order. A
classic queue does not count that as a quorum queue does, which drops what was delivered too often.
What a periodic task writes again stays a message, and is counted when the queue is opened.
All letters are in memory meanwhile, so it suits thousands of them, not millions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.transport.pyamqp import Transport
from kombu.utils.json import dumps

from ..broker import is_local
from ..letters.files import FileStore
from ..letters.letter import DeadLetter
from ..letters.store import DeadLetterError, Store

#: Letters that are deleted at once.
CHUNK = 200

STORE = Queue("dead-letters-store", queue_arguments={"x-queue-type": "classic"})

#: Exists while somebody has the store open; seconds to wait for that to end.
LOCK = "dead-letters-store-lock"
PATIENCE = 5


class DeadLetters(Store):
    """The queue of an app's broker."""

    errors = (*Transport.connection_errors, *Transport.channel_errors)

    @classmethod
    def of(cls, app: Celery) -> Store:
        """Return where the dead letters of an app are."""
        return FileStore.of(app) if is_local(app) else cls(app)

    def __init__(self, app: Celery) -> None:
        self.app = app

    def add(self, letter: DeadLetter) -> None:
        """Keep a letter; returns when RabbitMQ has it."""
        with self.app.producer_pool.acquire(block=True) as producer:
            publish(producer, letter.to_json())

    def trim(self, before: str, number: int, archive: Callable[[DeadLetter], object]) -> int:
        """Delete the oldest letters, `CHUNK` at most: they are at the head of the queue."""
        gone = 0
        with self.app.connection_for_write() as connection, connection.channel() as channel:
            queue: Any = STORE(channel)
            excess = queue.queue_declare().message_count - number
            for position in range(CHUNK):
                message = queue.get(no_ack=False)
                if message is None:  # the queue is empty, or somebody has it open
                    break
                entry = json.loads(message.body)
                # A note at the head speaks of a letter that is gone.
                is_letter = "replay_of" not in entry
                if is_letter and position >= excess and entry["failed_at"] >= before:
                    message.requeue()  # to the head
                    break
                if is_letter:
                    archive(DeadLetter.from_json(message.body))
                    gone += 1
                message.ack()
        return gone

    @contextmanager
    def open(self) -> Iterator[OpenQueue]:
        """Take all letters, and give them back in the end.

        Raises:
            DeadLetterError: Somebody else has opened it.
        """
        with self.app.connection_for_write() as connection:
            channel = locked(connection)
            producer = self.app.amqp.Producer(connection, auto_declare=False)
            opened = OpenQueue(channel, producer)
            try:
                yield opened
            finally:
                opened.give_back()


def locked(connection: Any) -> Any:
    """Return a channel of a connection that has the store for itself until it ends.

    Raises:
        DeadLetterError: Another connection has it for longer than a look takes.
    """
    deadline = monotonic() + PATIENCE
    while True:
        channel = connection.channel()
        try:
            channel.queue_declare(LOCK, durable=False, exclusive=True, auto_delete=True)
        except Transport.channel_errors:  # another connection has it, and this channel is closed
            if monotonic() > deadline:
                raise DeadLetterError(
                    "another command has the letters open: try again when it has ended"
                ) from None
            sleep(0.2)
        else:
            return channel


def publish(producer: Any, body: str) -> None:
    """Append to the queue."""
    producer.publish(
        body,
        routing_key=STORE.name,
        declare=[STORE],
        content_type="application/json",
        content_encoding="utf-8",
        retry=True,
        retry_policy={"max_retries": 3},
    )


class OpenQueue:
    """All that the queue holds."""

    def __init__(self, channel: Any, producer: Any) -> None:
        self.channel = channel
        self.producer = producer
        self.letters: dict[str, DeadLetter] = {}
        self.tags: dict[str, list[Any]] = {}
        queue = STORE(channel)
        queue.declare()
        while message := queue.get(no_ack=False):
            self.read(message)

    def read(self, message: Any) -> None:
        """Take a message in: a letter, or what happened to one before it."""
        entry = json.loads(message.body)
        if "replay_of" not in entry:
            letter = DeadLetter.from_json(message.body)
            if (known := self.letters.get(letter.id)) and letter.is_periodic:
                self.letters[letter.id] = known.again(1, letter.failed_at)
            self.letters.setdefault(letter.id, letter)
            self.tags.setdefault(letter.id, []).append(message.delivery_tag)
        else:
            self.tags.setdefault(entry["replay_of"], []).append(message.delivery_tag)
            self.note(entry["replay_of"], entry["replay"])

    def note(self, letter_id: str, replay: dict[str, Any] | None) -> None:
        """Keep the replay of a letter; none takes it back."""
        if letter := self.letters.get(letter_id):
            self.letters[letter_id] = replace(letter, history=[replay] if replay else [])

    def append(self, letter_id: str, replay: dict[str, Any] | None) -> None:
        """Write a replay down."""
        publish(self.producer, dumps({"replay_of": letter_id, "replay": replay}))
        self.note(letter_id, replay)

    def give_back(self) -> None:
        """Put everything back in its old order, and wait until it is there."""
        self.channel.basic_recover(requeue=True)

    def __iter__(self) -> Iterator[DeadLetter]:
        yield from sorted(self.letters.values(), key=lambda letter: letter.failed_at, reverse=True)

    def get(self, letter_id: str) -> DeadLetter | None:
        """Return a letter with its history."""
        return self.letters.get(letter_id)

    def claim(self, letter_id: str, replay: dict[str, Any]) -> bool:
        """Note a replay, unless there is one."""
        if self.letters[letter_id].history:
            return False
        self.append(letter_id, replay)
        return True

    def release(self, letter_id: str) -> None:
        """Take the note back."""
        self.append(letter_id, None)

    def discard(self, letter_id: str) -> bool:
        """Delete a letter; return whether there was one."""
        for tag in self.tags.pop(letter_id, []):
            self.channel.basic_ack(tag)
        return self.letters.pop(letter_id, None) is not None
