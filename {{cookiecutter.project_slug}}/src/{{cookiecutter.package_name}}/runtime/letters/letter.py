"""A dead letter: a task that failed for good, with everything that a replay needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from kombu.utils.json import dumps, loads

#: Header on every message that beat sends.
PERIODIC_HEADER = "x-periodic"

#: Headers of Celery that are no attributes of a request, as its other headers are.
CELERYS = ("argsrepr", "kwargsrepr", "lang", "task")


class Reason(StrEnum):
    """Why a message became a dead letter."""

    FAILED = "failed"
    REJECTED = "rejected"
    TIME_LIMIT = "time limit"
    WORKER_LOST = "worker lost"
    CRASHES = "crashes"  # its worker died in every run
    DELIVERY_LIMIT = "delivery limit"
    EXPIRED = "expired"
    UNKNOWN_TASK = "unknown task"
    UNREADABLE = "unreadable"


def now() -> str:
    """Return the current time as dead letters store it: in UTC, sortable as text."""
    return timestamp(datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    """Return a time as dead letters store it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def is_json(value: object) -> bool:
    """Whether a header can be kept as JSON."""
    try:
        dumps(value)
    except (TypeError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class DeadLetter:
    """A task that failed for good, with everything that a replay needs.

    Args:
        id: The id of the task; for a message without one, an id derived from its body.
        task: The name of the task, if it is known.
        args: Positional arguments; None if they could not be read.
        kwargs: Keyword arguments.
        queue: Where the message waited.
        priority: Its priority there.
        headers: Headers of the message, the context and Celery's own.
        embed: Callbacks, error callbacks and the rest of the task's chain.
        body: A body that could not be read, in base64.
        reason: Why it is here.
        error: The class of the error.
        text: The message of the error.
        traceback: The traceback of the error.
        attempts: How often the task was tried.
        worker: Which worker had it.
        started_at: When its last run started, if one did.
        failed_at: When it failed.
        history: Its replays: when (`at`), `by` whom, and the id of the new task (`as_id`).
        count: How often a periodic task has failed with this error.
        last_failed_at: When it last failed with this error, if it did so more than once.
    """

    id: str
    task: str
    reason: str
    queue: str = ""
    args: list[Any] | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    priority: int | None = None
    headers: dict[str, Any] = field(default_factory=dict)
    embed: dict[str, Any] = field(default_factory=dict)
    body: str | None = None
    error: str = ""
    text: str = ""
    traceback: str = ""
    attempts: int = 0
    worker: str = ""
    started_at: str | None = None
    failed_at: str = field(default_factory=now)
    history: list[dict[str, Any]] = field(default_factory=list)
    count: int = 1
    last_failed_at: str | None = None

    @property
    def is_periodic(self) -> bool:
        """Whether beat has sent the task."""
        return PERIODIC_HEADER in self.headers

    @property
    def problem(self) -> str:
        """The class and the message of the error, if there was one."""
        return f"{self.error}: {self.text}" if self.text else self.error

    @property
    def can_be_replayed(self) -> bool:
        """Whether it can be replayed, and was not yet."""
        return self.args is not None and bool(self.task) and not self.history

    @property
    def added_headers(self) -> dict[str, Any]:
        """The headers that are not Celery's own."""
        from celery.app.task import Context

        return {
            name: value
            for name, value in self.headers.items()
            if name not in CELERYS and not hasattr(Context, name)
        }

    def again(self, times: int, last: str) -> DeadLetter:
        """Return a copy that counts more failures of the same kind.

        Args:
            times: How many more there were.
            last: When the last of them was.
        """
        return replace(self, count=self.count + times, last_failed_at=last) if times else self

    def to_json(self) -> str:
        """Return it as JSON; kombu's encoder preserves dates, UUIDs and decimals in arguments."""
        fields = asdict(self)
        if self.count == 1:  # so that a process of an earlier release can read it
            del fields["count"], fields["last_failed_at"]
        return str(dumps(fields))

    @classmethod
    def from_json(cls, text: str | bytes) -> DeadLetter:
        """Return what `to_json` wrote."""
        return cls(**loads(text))
