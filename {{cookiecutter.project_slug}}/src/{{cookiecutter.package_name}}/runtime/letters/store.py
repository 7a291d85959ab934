"""The interface of all stores of dead letters, and how dead letters are selected and grouped.

`app.dead_letters` is the class of the store in use: one in Redis, in a database, in a queue of
RabbitMQ, or in files where nothing better is there.
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
    """A dead letter cannot be replayed; the message says why."""


class Letters(Protocol):
    """A store that is open."""

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield all dead letters, the newest first."""

    def get(self, letter_id: str) -> DeadLetter | None:
        """Return a dead letter with its history."""

    def claim(self, letter_id: str, replay: dict[str, Any]) -> bool:
        """Record a replay, unless one is recorded: of two callers, only one gets true."""

    def release(self, letter_id: str) -> None:
        """Remove the record of a replay that could not be sent."""

    def discard(self, letter_id: str) -> bool:
        """Delete a dead letter; return whether it existed."""


class Store(ABC):
    """A store of dead letters. If an id exists already, the first dead letter with it is kept."""

    #: Errors that the server of the store may raise.
    errors: ClassVar[tuple[type[Exception], ...]] = ()

    @classmethod
    @abstractmethod
    def of(cls, app: Celery) -> Store:
        """Return the store of an app: files if its queues are in memory."""

    @abstractmethod
    def add(self, letter: DeadLetter) -> None:
        """Store a dead letter; if it is a periodic task's and its id exists already, count it."""

    @abstractmethod
    def trim(self, before: str, number: int, archive: Callable[[DeadLetter], object]) -> int:
        """Delete the oldest dead letters, a limited number per call, and return how many.

        Args:
            before: Dead letters that failed before this time are too old.
            number: How many dead letters may stay.
            archive: Called with each dead letter before it is deleted.
        """

    @abstractmethod
    def count(self) -> int:
        """Return about how many dead letters there are, without reading them."""

    @abstractmethod
    def open(self) -> AbstractContextManager[Letters]:
        """Open the store for reading and changing."""


def store_of(app: Any) -> Store:
    """Return the store of an app's dead letters."""
    store: Store = app.dead_letters.of(app)
    return store


@contextmanager
def opened(app: Any) -> Iterator[Letters]:
    """Open the dead letters of an app, including those that the broker has set aside."""
    store = store_of(app)
    app.broker.collect(app, store)
    with store.open() as letters:
        yield letters


class Filter(NamedTuple):
    """Which dead letters are selected; a field that is not given matches all."""

    task: str = "*"
    error: str = "*"
    queue: str = "*"
    reason: str = "*"
    since: datetime | None = None
    until: datetime | None = None
    replayed: bool | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a dead letter is selected."""
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
    """Dead letters with the same task, reason and error."""

    task: str
    reason: str
    error: str
    letters: int
    #: How many of them were replayed.
    replayed: int
    newest: DeadLetter


def grouped(letters: Iterable[DeadLetter]) -> list[Group]:
    """Return dead letters grouped by task, reason and error, the largest group first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    replayed: Counter[tuple[str, str, str]] = Counter()
    newest: dict[tuple[str, str, str], DeadLetter] = {}
    for letter in letters:
        key = (letter.task, letter.reason, letter.error)
        counts[key] += 1
        replayed[key] += bool(letter.history)
        if key not in newest or newest[key].failed_at < letter.failed_at:
            newest[key] = letter
    return [Group(*key, count, replayed[key], newest[key]) for key, count in counts.most_common()]
