"""Dead letters in a queue, on a broker in memory."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.transport import memory
from kombu.transport.pyamqp import Transport

from my_celery_project.celery import app
from my_celery_project.runtime.letters.letter import (
    DeadLetter,
)
from my_celery_project.runtime.letters.store import (
    DeadLetterError,
    Store,
)
from my_celery_project.runtime.rabbitmq import (
    dead_letters,
)

REPLAY = {"at": "2026-01-31T12:00:00+00:00", "by": "ann", "as_id": "7"}


def letter(number: int) -> DeadLetter:
    """Return a letter."""
    return DeadLetter(str(number), "tests.fail", "failed", "default", [number])


def put_back(channel: Any, message: Any) -> None:
    """Give a message back as RabbitMQ does, to its old place; kombu appends it."""
    channel._queue_for(dead_letters.STORE.name).queue.appendleft(message.serializable())


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[dead_letters.DeadLetters]:
    """Return a store with three letters, of which the third was written twice."""
    monkeypatch.setattr(memory.Channel, "_restore", put_back)
    store = dead_letters.DeadLetters(app)
    for number in (1, 2, 3, 3):
        store.add(letter(number))
    yield store
    with store.open() as letters:
        for kept in list(letters):
            letters.discard(kept.id)


def ids(store: dead_letters.DeadLetters) -> list[str]:
    """Return the ids of the letters, the newest first."""
    with store.open() as letters:
        return [kept.id for kept in letters]


def test_looking_changes_nothing(store: dead_letters.DeadLetters) -> None:
    assert ids(store) == ids(store) == ["3", "2", "1"]
    with store.open() as letters:
        kept = letters.get("2")
        assert kept
        assert (kept.args, kept.history) == ([2], [])
        assert letters.get("4") is None


def test_a_replay_is_noted_once(store: dead_letters.DeadLetters) -> None:
    with store.open() as letters:
        assert letters.claim("1", REPLAY)
        assert not letters.claim("1", REPLAY)
    with store.open() as letters:
        kept = letters.get("1")
        assert kept
        assert kept.history == [REPLAY]
        letters.release("1")
    with store.open() as letters:
        assert letters.claim("1", REPLAY)


def test_a_letter_that_is_discarded_is_gone_with_what_was_noted(
    store: dead_letters.DeadLetters,
) -> None:
    with store.open() as letters:
        letters.claim("3", REPLAY)
    with store.open() as letters:
        assert letters.discard("3")
        assert not letters.discard("3")
    assert ids(store) == ["2", "1"]


def test_failures_are_counted_and_the_oldest_letters_go(
    store: dead_letters.DeadLetters, counts_and_trims: Callable[[Store], None]
) -> None:
    with store.open() as letters:
        for kept in list(letters):
            letters.discard(kept.id)
    counts_and_trims(store)


def test_notes_of_letters_that_are_gone_go_too(store: dead_letters.DeadLetters) -> None:
    with store.open() as letters:
        letters.claim("3", REPLAY)
    assert store.trim("9999", 0, lambda letter: None) == 4
    with app.connection_for_write() as connection:
        assert dead_letters.STORE(connection.default_channel).get() is None


def test_only_one_has_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Transport.channel_errors[0]

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(dead_letters, "PATIENCE", 0)
    connection = SimpleNamespace(channel=lambda: SimpleNamespace(queue_declare=refuse))
    with pytest.raises(DeadLetterError, match="another command"):
        dead_letters.locked(connection)
