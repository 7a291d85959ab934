"""Where it is counted what people have to be told, and who of the processes tells them.

In a project with a Redis that is there (`redis/notices.py`). Without one, each process counts and
tells what it has seen itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """Failures that are told together."""

    task: str
    error: str
    reason: str


class Failures(NamedTuple):
    """How often tasks have failed in one way."""

    number: int
    #: The message of the last error, and the id of its dead letter.
    text: str
    letter: str


@dataclass
class State:
    """What was told, and what is to be told.

    Args:
        problems: When each present problem was first seen, in seconds since 1970.
        told: The problems that people know of, with what they were told.
        news: Sentences about problems that have begun or ended.
        since: Since when something is to be told; None if nothing is.
        changed: When the number of counted failures was last seen to grow.
        number: That number.
        sent: When the last notices were sent.
        notice: The notice that is being sent: subject, text, and the channels that lack it.
    """

    problems: dict[str, float] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)
    since: float | None = None
    changed: float = 0
    number: int = 0
    sent: list[float] = field(default_factory=list)
    notice: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as a dictionary, for JSON."""
        return asdict(self)


class Place(ABC):
    """Where failures are counted, and where the state is."""

    #: Whether all processes of the project use the same one.
    is_shared = False
    #: Errors that it may raise.
    errors: tuple[type[Exception], ...] = ()

    @abstractmethod
    def add(self, kind: Kind, text: str, letter: str) -> None:
        """Count a failure.

        Args:
            kind: What kind it is.
            text: The message of the error.
            letter: The id of the dead letter.
        """

    @abstractmethod
    def counted(self) -> Mapping[Kind, Failures]:
        """Return the failures that are counted."""

    @abstractmethod
    def lead(self, name: str, seconds: float) -> bool:
        """Become the process that tells people, or go on being it; return whether that succeeded.

        Args:
            name: The name of the process.
            seconds: After how long another one may take over.
        """

    @abstractmethod
    def load(self) -> State:
        """Return the state."""

    @abstractmethod
    def save(self, state: State, told: Mapping[Kind, Failures]) -> None:
        """Keep the state, and in the same moment forget the failures that are in its notice.

        Args:
            state: The state.
            told: The failures.
        """

    def ticked(self, moment: float) -> None:  # noqa: B027 - there may be nothing to do
        """Note when beat last looked at its schedule, in seconds since 1970."""

    def last_tick(self) -> float | None:
        """Return when that was, if it is known."""
        return None


class Memory(Place):
    """The memory of this process."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.failures: dict[Kind, Failures] = {}
        self.state = State()

    def add(self, kind: Kind, text: str, letter: str) -> None:
        """Count a failure."""
        with self.lock:
            known = self.failures.get(kind)
            self.failures[kind] = Failures((known.number if known else 0) + 1, text, letter)

    def counted(self) -> Mapping[Kind, Failures]:
        """Return the failures that are counted."""
        with self.lock:
            return dict(self.failures)

    def lead(self, name: str, seconds: float) -> bool:
        """Return true: nobody else can."""
        return True

    def load(self) -> State:
        """Return the state."""
        return self.state

    def save(self, state: State, told: Mapping[Kind, Failures]) -> None:
        """Forget the failures that are in the notice."""
        self.state = state
        with self.lock:
            for kind, failures in told.items():
                left = self.failures[kind].number - failures.number
                self.failures[kind] = self.failures[kind]._replace(number=left)
                if not left:
                    del self.failures[kind]
