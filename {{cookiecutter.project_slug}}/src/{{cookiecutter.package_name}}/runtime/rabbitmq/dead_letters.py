"""Dead letters in a RabbitMQ queue, for projects without a database.

The queue holds the dead letters and, behind them, a record of each replay; messages are never
changed. Whoever opens the store takes all messages, keeps them unacknowledged, and gives them back
in their old order. It is a classic queue, because a quorum queue would count that as deliveries and
drop the messages in the end. A repeated failure of a periodic task is a message of its own, and is
counted when the queue is opened. All dead letters are in memory meanwhile, so the store suits
thousands of them, not millions.
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

from ..broker import scheme
from ..config.urls import AMQP
from ..letters.files import FileStore
from ..letters.letter import DeadLetter
from ..letters.store import DeadLetterError, Store

#: How many dead letters are deleted at once.
CHUNK = 200

STORE = Queue("dead-letters-store", queue_arguments={"x-queue-type": "classic"})

#: The queue that exists while somebody has the store open, and the seconds to wait for its end.
LOCK = "dead-letters-store-lock"
PATIENCE = 5


class DeadLetters(Store):
    """A store in a queue of the app's broker."""

    errors = (*Transport.connection_errors, *Transport.channel_errors)

    @classmethod
    def of(cls, app: Celery) -> Store:
        """Return the store of an app's dead letters."""
        return cls(app) if scheme(app) in AMQP else FileStore.of(app)

    def __init__(self, app: Celery) -> None:
        self.app = app

    def add(self, letter: DeadLetter) -> None:
        """Store a dead letter, and wait until RabbitMQ has confirmed it."""
        with self.app.producer_pool.acquire(block=True) as producer:
            publish(producer, letter.to_json())

    def trim(self, before: str, number: int, archive: Callable[[DeadLetter], object]) -> int:
        """Delete the oldest dead letters, at most `CHUNK`; they are at the head of the queue."""
        gone = 0
        with self.app.connection_for_write() as connection, connection.channel() as channel:
            queue: Any = STORE(channel)
            excess = queue.queue_declare().message_count - number
            for position in range(CHUNK):
                message = queue.get(no_ack=False)
                if message is None:  # the queue is empty, or somebody has it open
                    break
                entry = json.loads(message.body)
                # A replay record at the head belongs to a dead letter that was deleted.
                is_letter = "replay_of" not in entry
                if is_letter and position >= excess and entry["failed_at"] >= before:
                    message.requeue()  # to the head of the queue
                    break
                if is_letter:
                    archive(DeadLetter.from_json(message.body))
                    gone += 1
                message.ack()
        return gone

    def count(self) -> int:
        """Return how many messages the queue has: dead letters, and records of their replays."""
        with self.app.connection_for_write() as connection, connection.channel() as channel:
            queue: Any = STORE(channel)
            return int(queue.queue_declare().message_count)

    @contextmanager
    def open(self) -> Iterator[OpenQueue]:
        """Take all dead letters, and give them back in the end.

        Raises:
            DeadLetterError: Somebody else has the store open.
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
    """Return a channel of a connection that has exclusive use of the store until it closes.

    Raises:
        DeadLetterError: Another connection has kept the store open for too long.
    """
    deadline = monotonic() + PATIENCE
    while True:
        channel = connection.channel()
        try:
            channel.queue_declare(LOCK, durable=False, exclusive=True, auto_delete=True)
        except Transport.channel_errors:  # another connection has it, and this channel is closed
            if monotonic() > deadline:
                raise DeadLetterError(
                    "another command has the dead letters open: try again when it has ended"
                ) from None
            sleep(0.2)
        else:
            return channel


def publish(producer: Any, body: str) -> None:
    """Append a message to the queue."""
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
    """The content of the queue while the store is open."""

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
        """Read a message: a dead letter, or a record about an earlier one."""
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
        """Remember the replay of a dead letter; None removes it."""
        if letter := self.letters.get(letter_id):
            self.letters[letter_id] = replace(letter, history=[replay] if replay else [])

    def append(self, letter_id: str, replay: dict[str, Any] | None) -> None:
        """Append a record of a replay to the queue."""
        publish(self.producer, dumps({"replay_of": letter_id, "replay": replay}))
        self.note(letter_id, replay)

    def give_back(self) -> None:
        """Put all messages back in their old order, and wait until they are there."""
        self.channel.basic_recover(requeue=True)

    def __iter__(self) -> Iterator[DeadLetter]:
        yield from sorted(self.letters.values(), key=lambda letter: letter.failed_at, reverse=True)

    def get(self, letter_id: str) -> DeadLetter | None:
        """Return a dead letter with its history."""
        return self.letters.get(letter_id)

    def claim(self, letter_id: str, replay: dict[str, Any]) -> bool:
        """Record a replay, unless one is recorded already."""
        if self.letters[letter_id].history:
            return False
        self.append(letter_id, replay)
        return True

    def release(self, letter_id: str) -> None:
        """Remove the record of a replay."""
        self.append(letter_id, None)

    def discard(self, letter_id: str) -> bool:
        """Delete a dead letter; return whether it existed."""
        for tag in self.tags.pop(letter_id, []):
            self.channel.basic_ack(tag)
        return self.letters.pop(letter_id, None) is not None
