"""Dead letters: what failed for good, kept until somebody replays or discards it.

    celery -A {{ cookiecutter.package_name }} dead-letters --help

A worker writes a letter before it acknowledges the message, so a crash in between leaves both: the
letter is written again under the same id, that of the task. If the store refuses it, the worker
logs the whole letter as JSON, and RabbitMQ gets the message back for its own dead letters.

A task that will be retried is no letter, nor is one that expired, was revoked or cancelled. A task
that beat sends has one letter for each error, with a count: a disk that stays full is one letter,
and not one every five minutes. `retention.py` says how many letters are kept, and for how long.
"""

from __future__ import annotations

import getpass
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol
from uuid import UUID, uuid4

from celery import Celery
from celery.app.task import Context
from celery.exceptions import QueueNotFound
from celery.utils.log import get_logger
from kombu.utils.json import dumps, loads

logger = get_logger(__name__)

#: Header of a replayed task: the id of its letter.
REPLAY_HEADER = "x-replay-of"

#: Header of what beat sends.
PERIODIC_HEADER = "x-periodic"

#: What brokers, beat and `runtime/tasks/base.py` note on a message; it says nothing about a replay.
DELIVERY_HEADERS = (
    *("x-death", "x-first-death-", "x-last-death-", "x-delivery-"),
    *("x-crashes", PERIODIC_HEADER),
)

#: Time for which a periodic task that goes on failing is not logged as an error again.
QUIET = timedelta(days=1)


class Reason(StrEnum):
    """Why a message became a letter."""

    FAILED = "failed"
    REJECTED = "rejected"
    TIME_LIMIT = "time limit"
    WORKER_LOST = "worker lost"
    CRASHES = "crashes"  # its worker died in every run
    DELIVERY_LIMIT = "delivery limit"
    EXPIRED = "expired"
    UNKNOWN_TASK = "unknown task"
    UNREADABLE = "unreadable"


class DeadLetterError(Exception):
    """A letter cannot be replayed; the text says why."""


def now() -> str:
    """Return the time as letters keep it: in UTC, sortable."""
    return timestamp(datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    """Return a time as letters keep it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class DeadLetter:
    """What failed, with all that a replay needs.

    Args:
        id: The id of the task, or one made of the body of what has none.
        task: The name of the task, as far as it is known.
        args: Positional arguments; nothing if they could not be read.
        kwargs: Keyword arguments.
        queue: Where the message waited.
        priority: Its priority there.
        headers: Headers of the message, the context and Celery's own.
        embed: Callbacks, error callbacks and the rest of its chain.
        body: A body that could not be read, in base64.
        reason: Why it is here.
        error: The class of the error.
        text: Its message.
        traceback: Where it happened.
        attempts: How often the task was tried.
        worker: Which worker had it.
        started_at: When its last run started, if one did.
        failed_at: When it failed.
        history: Its replays: `at`, `by` whom, `as_id`.
        count: How often a periodic task has failed so.
        last_failed_at: When it did so for the last time, if that was more than once.
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

    def again(self, times: int, last: str) -> DeadLetter:
        """Return it after more failures of the same kind.

        Args:
            times: How many more there were.
            last: When the last of them was.
        """
        return replace(self, count=self.count + times, last_failed_at=last) if times else self

    def to_json(self) -> str:
        """Return it as JSON, in which kombu keeps dates, UUIDs and decimals in arguments."""
        fields = asdict(self)
        if self.count == 1:  # so that a process of an earlier release can read it
            del fields["count"], fields["last_failed_at"]
        return str(dumps(fields))

    @classmethod
    def from_json(cls, text: str | bytes) -> DeadLetter:
        """Return what `to_json` wrote."""
        return cls(**loads(text))


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


class Store(Protocol):
    """Where letters are. What holds an id already keeps the first letter of that id."""

    def add(self, letter: DeadLetter) -> None:
        """Keep a letter; of a periodic one whose id is there already, count it."""

    def trim(self, before: str, number: int, archive: Callable[[DeadLetter], object]) -> int:
        """Delete the oldest letters, a bounded part of them at once, and return how many.

        Args:
            before: Letters that failed before this time are too old.
            number: How many letters may stay.
            archive: Is called with each letter before it is deleted.
        """

    def open(self) -> AbstractContextManager[Letters]:
        """Open it for reading and changing."""


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


def of_message(message: Any, reason: str, error: str = "", text: str = "") -> DeadLetter:
    """Return a letter for a message of kombu that no task has seen."""
    headers = {name: value for name, value in (message.headers or {}).items() if is_json(value)}
    args, kwargs, embed = arguments(message)
    body = message.body.encode() if isinstance(message.body, str) else bytes(message.body or b"")
    if args is None and reason != Reason.UNKNOWN_TASK:
        reason = Reason.UNREADABLE if reason == Reason.REJECTED else reason
    return DeadLetter(
        id=str(headers.get("id") or id_of(body)),
        task=str(headers.get("task") or ""),
        reason=reason,
        queue=queue_of(message.delivery_info or {}, headers),
        args=args,
        kwargs=kwargs,
        priority=(message.properties or {}).get("priority"),
        headers=headers,
        embed=embed,
        body=b64encode(body).decode() if args is None else None,
        error=error,
        text=text,
        attempts=int(headers.get("retries") or 0) + 1 if args is not None else 0,
    )


def id_of(body: bytes) -> str:
    """Return an id for what has none: whoever finds it once more writes no second letter."""
    return str(UUID(bytes=sha256(body).digest()[:16]))


def arguments(message: Any) -> tuple[list[Any] | None, dict[str, Any], dict[str, Any]]:
    """Return the arguments of a message and what is embedded in it, or nothing for a foreign one.

    Only JSON is read: a pickle could run code.
    """
    try:
        body = message.body
        if message.content_type != "application/json":
            return None, {}, {}
        args, kwargs, embed = loads(body if isinstance(body, str | bytes) else bytes(body))
        return list(args), dict(kwargs), dict(embed or {})
    except (ValueError, TypeError):
        return None, {}, {}


def queue_of(delivery_info: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    """Return the queue in which a message waited.

    RabbitMQ notes it on its dead letters; a delayed message has a long routing key that ends in it.
    """
    deaths = headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        return str(deaths[0].get("queue", ""))
    return str(delivery_info.get("routing_key") or "").rpartition(".")[2]


def is_json(value: object) -> bool:
    """Whether a header can be kept as JSON."""
    try:
        dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def write(app: Celery, letter: DeadLetter) -> bool:
    """Keep a letter; if the store refuses it, log all of it. Return whether it was kept."""
    from . import retention
    from .letter_store import store_of

    if letter.is_periodic:
        letter = replace(letter, id=id_of_failure(letter))
    try:
        store = store_of(app)
        store.add(letter)
    except Exception:
        logger.critical("Could not store a dead letter: %s", letter.to_json(), exc_info=True)
        return False
    told = (letter.id, letter.task or "?", letter.reason, letter.error, letter.text)
    if is_news(letter):
        logger.error("Dead letter %s of task %s: %s: %s: %.200s", *told)
    else:
        logger.info("Dead letter %s of task %s, once more: %s: %s: %.200s", *told)
    retention.keep_limits(store)
    return True


def id_of_failure(letter: DeadLetter) -> str:
    """Return an id that all failures of a periodic task for the same reason share."""
    parts = (letter.task, letter.args, letter.kwargs, letter.reason, letter.error)
    return id_of(dumps(parts).encode())


#: When this process saw a periodic task fail, by the id of its letter.
_failures: dict[str, datetime] = {}


def is_news(letter: DeadLetter) -> bool:
    """Whether a failure is to be logged as an error: the same one of a periodic task is, once."""
    if not letter.is_periodic:
        return True
    moment = datetime.now(UTC)
    for known in [known for known, last in _failures.items() if last < moment - QUIET]:
        del _failures[known]
    is_known = letter.id in _failures
    _failures[letter.id] = moment
    return not is_known


def replay(
    app: Celery, letters: Letters, letter_id: str, by: str | None = None, task_id: str = ""
) -> str:
    """Send the task of a letter again, as a new task, and return its id.

    It has the arguments, queue, priority and context of the first one, its callbacks and the rest
    of its chain, and no retries behind it. It is no part of a chord, which has failed by then.

    Args:
        app: The app that sends it.
        letters: Where the letter is.
        letter_id: Its id.
        by: Who wants that; without it, the user of this process.
        task_id: The id of the new task; without it, a random one.

    Raises:
        DeadLetterError: There is no such letter, it was replayed, or it cannot be.
    """
    letter = letters.get(letter_id)
    if letter is None:
        raise DeadLetterError(f"there is no letter {letter_id}: see `dead-letters list`")
    if letter.args is None or not letter.task:
        raise DeadLetterError(f"{letter_id} is unreadable and cannot be replayed: see `show`")
    task_id = task_id or str(uuid4())
    note = {"at": now(), "by": by or getpass.getuser(), "as_id": task_id}
    if not letters.claim(letter_id, note):
        current = letters.get(letter_id)
        last = current.history[-1] if current and current.history else {}
        raise DeadLetterError(
            f"{letter_id} was replayed at {last.get('at')} by {last.get('by')}"
            f" as {last.get('as_id')}: replay the letter of that one, if it failed too"
        )
    try:
        app.send_task(letter.task, letter.args, letter.kwargs, **options(letter, task_id))
    except QueueNotFound:
        letters.release(letter_id)
        raise DeadLetterError(
            f"{letter_id} cannot be sent: there is no queue {letter.queue} in queues.py"
        ) from None
    except BaseException:
        letters.release(letter_id)
        raise
    return task_id


def options(letter: DeadLetter, task_id: str) -> dict[str, Any]:
    """Return how the task of a letter is to be sent."""
    headers = letter.headers
    hard, soft = headers.get("timelimit") or (None, None)
    custom = {
        name: value
        for name, value in headers.items()
        if not hasattr(Context, name) and not name.startswith(DELIVERY_HEADERS)
    }
    options = {
        "task_id": task_id,
        "queue": letter.queue or None,
        "priority": letter.priority,
        "headers": {**custom, REPLAY_HEADER: letter.id},
        "root_id": headers.get("root_id"),
        "parent_id": letter.id,
        "shadow": headers.get("shadow"),
        "time_limit": hard,
        "soft_time_limit": soft,
        "ignore_result": headers.get("ignore_result"),
        "link": letter.embed.get("callbacks"),
        "link_error": letter.embed.get("errbacks"),
        "chain": letter.embed.get("chain"),
    }
    return {name: value for name, value in options.items() if value is not None}


def replay_all(
    app: Celery,
    letters: Letters,
    letter_ids: Iterable[str],
    per_second: float | None = None,
    progress: Callable[[], object] = lambda: None,
) -> tuple[int, list[str]]:
    """Replay letters at a limited rate; return how many, and why others were refused."""
    replayed, refused = 0, []
    start = monotonic()
    for letter_id in letter_ids:
        if per_second:
            sleep(max(0.0, start + replayed / per_second - monotonic()))
        try:
            replay(app, letters, letter_id)
            replayed += 1
        except DeadLetterError as error:
            refused.append(str(error))
        progress()
    return replayed, refused
