"""What administrators do: look at workers and queues, repair dead letters."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager{{ ", nullcontext" if cookiecutter.__results }}
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any
{% if cookiecutter.__results %}
from uuid import uuid4
{% endif %}

from kombu import Connection
from pydantic import AwareDatetime, BaseModel, Field

from ..celery import app
from ..runtime.letters import replay as replays
from ..runtime.letters import store
from ..runtime.letters.letter import DeadLetter
from ..runtime.letters.store import Letters
{% if cookiecutter.__results %}
from ..runtime.tasks import followed
{% endif %}
from . import backlog, bodies, servers
from .bodies import plain
from .problems import Problem
from .settings import settings

#: Who has replayed a letter, in its history.
WHO = "the admin API"


class LetterFilter(BaseModel):
    """Which dead letters are meant, and which part of them. `*` stands for anything in a text."""

    task: str = Field(default="*", max_length=255)
    error: str = Field(default="*", max_length=255)
    queue: str = Field(default="*", max_length=255)
    reason: str = Field(default="*", max_length=255)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    replayed: bool | None = None
    limit: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0, le=1_000_000)


def authorize(header: str | None) -> None:
    """Let administrators pass.

    Args:
        header: `Authorization` of the request.

    Raises:
        Problem: It does not hold the token.
    """
    scheme, _, given = (header or "").partition(" ")
    expected = settings().token().encode()
    # In constant time, since the time of an ordinary comparison tells how much of a token is right.
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected):
        headers = {"WWW-Authenticate": "Bearer"}
        raise Problem(401, "send the header `Authorization: Bearer` with the admin token", headers)


def workers() -> bodies.Workers:
    """Return the workers that answer."""
    with servers.broker() as connection:
        stats = servers.inspect(connection).stats() or {}
        # Those that have answered: a question to all would wait for more of them once more.
        queues = servers.inspect(connection, *stats).active_queues() if stats else {}
    return bodies.Workers(
        workers=[
            bodies.Worker(
                name=name,
                pool=found["pool"]["implementation"].partition(":")[0].rpartition(".")[2],
                concurrency=found["pool"].get("max-concurrency") or 1,
                queues=[queue["name"] for queue in queues.get(name) or []],
                tasks=sum(found["total"].values()),
                uptime_seconds=found["uptime"],
            )
            for name, found in sorted(stats.items())
        ]
    )


def queues() -> bodies.Queues:
    """Return what waits in each queue; what a worker holds until its time has come is not there."""
    with servers.broker() as connection:
        return bodies.Queues(queues=[queue(connection, name) for name in app.amqp.queues])


def queue(connection: Connection, name: str) -> bodies.Queue:
    """Return what waits in a queue."""
    messages, oldest = backlog.look(connection, name)
    return bodies.Queue(name=name, messages=messages, oldest_seconds=oldest)


def active() -> bodies.HeldTasks:
    """Return the tasks that run."""
    with servers.broker() as connection:
        found = servers.inspect(connection).active() or {}
    return held((worker, None, task) for worker, tasks in found.items() for task in tasks)


def scheduled() -> bodies.HeldTasks:
    """Return the tasks that workers hold until their time has come."""
    with servers.broker() as connection:
        found = servers.inspect(connection).scheduled() or {}
    return held(
        (worker, entry["eta"], entry["request"])
        for worker, tasks in found.items()
        for entry in tasks
    )


def held(tasks: Iterator[tuple[str, str | None, dict[str, Any]]]) -> bodies.HeldTasks:
    """Return what workers tell of tasks."""
    return bodies.HeldTasks(
        tasks=[
            bodies.HeldTask(
                id=task["id"],
                task=task["name"],
                worker=worker,
                args=plain(task["args"]),
                kwargs=plain(task["kwargs"]),
                started_at=moment(task["time_start"]),
                due_at=eta,
            )
            for worker, eta, task in tasks
        ]
    )


def moment(seconds: float | None) -> datetime | None:
    """Return a time of the clock."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def registered() -> bodies.Registered:
    """Return the tasks that each worker knows."""
    with servers.broker() as connection:
        return bodies.Registered(workers=servers.inspect(connection).registered() or {})


@contextmanager
def opened() -> Iterator[Letters]:
    """Open the dead letters, with those that the broker has set aside."""
    servers.check_broker()
    with store.opened(app) as letters:
        yield letters


def letters(wanted: LetterFilter) -> bodies.LetterPage:
    """Return dead letters, the newest first."""
    chosen = store.Filter(**wanted.model_dump(exclude={"limit", "offset"}))
    end = wanted.offset + wanted.limit
    with opened() as found:
        matching = (brief(letter) for letter in found if chosen.matches(letter))
        page = list(islice(matching, wanted.offset, end + 1))
    more = len(page) > wanted.limit
    return bodies.LetterPage(letters=page[: wanted.limit], next_offset=end if more else None)


def brief(letter: DeadLetter) -> bodies.Letter:
    """Return what a list shows of a letter."""
    replayed_as = letter.history[-1]["as_id"] if letter.history else None
    return bodies.Letter(**{**asdict(letter), "replayed_as": replayed_as})


def letter(letter_id: str) -> bodies.WholeLetter:
    """Return all of a letter.

    Raises:
        Problem: There is none with this id.
    """
    with opened() as found:
        letter = found.get(letter_id)
    if letter is None:
        raise unknown()
    return bodies.WholeLetter(**plain(asdict(letter)))


def unknown() -> Problem:
    """Return what to answer for an id that no letter has."""
    return Problem(404, "there is no dead letter with this id: see the list of them")


def replay(letter_id: str) -> bodies.Accepted:
    """Send the task of a letter again, once, as a new task.

    Raises:
        DeadLetterError: It was replayed before, or it cannot be.
        Problem: There is none with this id.
    """
    with opened() as found:
        letter = found.get(letter_id)
        if letter is None:
            raise unknown()
{% if cookiecutter.__results %}
        task_id = str(uuid4())
        is_followed = followed.FOLLOWED_HEADER in letter.headers
        with followed.noted(app, task_id) if is_followed else nullcontext():
            return bodies.Accepted(id=replays.replay(app, found, letter_id, WHO, task_id))
{% else %}
        return bodies.Accepted(id=replays.replay(app, found, letter_id, WHO))
{% endif %}


def discard(letter_id: str) -> None:
    """Delete a letter.

    Raises:
        Problem: There is none with this id.
    """
    with opened() as found:
        if not found.discard(letter_id):
            raise unknown()
