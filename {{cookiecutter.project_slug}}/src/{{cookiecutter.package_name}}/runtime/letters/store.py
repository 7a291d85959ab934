"""Where dead letters are kept, and how they are found again.

The app says where: `app.dead_letters` is a class of stores, in a Redis, a database, a queue of
RabbitMQ, or in files for a first look without a server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from .letter import DeadLetter, timestamp

if TYPE_CHECKING:
    from celery import Celery


class DeadLetterError(Exception):
    """A dead letter cannot be replayed; the text says why."""


class Letters(Protocol):
    """A store that is open."""

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield all letters, the newest first."""

    def get(self, letter_id: str) -> DeadLetter | None:
        """Return a letter with its history."""

    def claim(self, letter_id: str, replay: dict[str, Any]) -> bool:
        """Note a replay, unless there is one: of two callers only one gets true."""

    def release(self, letter_id: str) -> None:
        """Take the note back: the replay could not be sent."""

    def discard(self, letter_id: str) -> bool:
        """Delete a letter; return whether there was one."""


class Store(ABC):
    """Where dead letters are. What holds an id already keeps the first dead letter of that id."""

    #: What may go wrong with the server.
    errors: ClassVar[tuple[type[Exception], ...]] = ()

    @classmethod
    @abstractmethod
    def of(cls, app: Celery) -> Store:
        """Return the store of an app; files where its queues are in files or in memory."""

    @abstractmethod
    def add(self, letter: DeadLetter) -> None:
        """Keep a letter; of a periodic one whose id is there already, count it."""

    @abstractmethod
    def trim(self, before: str, number: int, archive: Callable[[DeadLetter], object]) -> int:
        """Delete the oldest letters, a bounded part of them at once, and return how many.

        Args:
            before: Letters that failed before this time are too old.
            number: How many letters may stay.
            archive: Is called with each letter before it is deleted.
        """

    @abstractmethod
    def open(self) -> AbstractContextManager[Letters]:
        """Open it for reading and changing."""


def store_of(app: Any) -> Store:
    """Return where the dead letters of an app are."""
    store: Store = app.dead_letters.of(app)
    return store


@contextmanager
def opened(app: Any) -> Iterator[Letters]:
    """Open the dead letters of an app, with those that the broker has set aside."""
    store = store_of(app)
    app.broker.collect(app, store)
    with store.open() as letters:
        yield letters


class Filter(NamedTuple):
    """Which letters are meant; what is not given matches all."""

    task: str = "*"
    error: str = "*"
    queue: str = "*"
    reason: str = "*"
    since: datetime | None = None
    until: datetime | None = None
    replayed: bool | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        patterns = (
            (letter.task, self.task),
            (letter.error, self.error),
            (letter.queue, self.queue),
            (letter.reason, self.reason),
        )
        return (
            all(fnmatchcase(value, pattern) for value, pattern in patterns)
            and (self.since is None or letter.failed_at >= timestamp(self.since))
            and (self.until is None or letter.failed_at <= timestamp(self.until))
            and (self.replayed is None or bool(letter.history) == self.replayed)
        )


class Group(NamedTuple):
    """Letters with the same task, reason and error."""

    task: str
    reason: str
    error: str
    letters: int
    newest: DeadLetter


def grouped(letters: Iterable[DeadLetter]) -> list[Group]:
    """Return letters by their error, the most frequent first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    newest: dict[tuple[str, str, str], DeadLetter] = {}
    for letter in letters:
        key = (letter.task, letter.reason, letter.error)
        counts[key] += 1
        if key not in newest or newest[key].failed_at < letter.failed_at:
            newest[key] = letter
    return [Group(*key, count, newest[key]) for key, count in counts.most_common()]
