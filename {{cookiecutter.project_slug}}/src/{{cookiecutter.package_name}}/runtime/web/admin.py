"""What administrators can do: look at workers and queues, and replay or discard dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from kombu import Connection

from ..letters import store
from ..letters.letter import DeadLetter
from ..letters.store import Letters
from . import bodies, servers
from .bodies import plain
from .problems import Problem
from .service import Service

if TYPE_CHECKING:
    from ..app import App

#: The name of this API in the history of a replayed dead letter.
WHO = "the admin API"


def workers(app: App) -> bodies.Workers:
    """Return the workers that answer."""
    with servers.broker(app) as connection:
        stats = servers.inspect(app, connection).stats() or {}
        # Ask only those that have answered; a question to all would wait for others once more.
        queues = servers.inspect(app, connection, *stats).active_queues() if stats else {}
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


def queues(app: App) -> bodies.Queues:
    """Return what waits in each queue; tasks that a worker holds for later are not included."""
    with servers.broker(app) as connection:
        return bodies.Queues(queues=[queue(app, connection, name) for name in app.amqp.queues])


def queue(app: App, connection: Connection, name: str) -> bodies.Queue:
    """Return what waits in a queue."""
    depth = app.broker.look(connection, name)
    return bodies.Queue(name=name, messages=depth.messages, oldest_seconds=depth.age)


def active(app: App) -> bodies.HeldTasks:
    """Return the running tasks."""
    with servers.broker(app) as connection:
        found = servers.inspect(app, connection).active() or {}
    return held((worker, None, task) for worker, tasks in found.items() for task in tasks)


def scheduled(app: App) -> bodies.HeldTasks:
    """Return the tasks that workers hold until they are due."""
    with servers.broker(app) as connection:
        found = servers.inspect(app, connection).scheduled() or {}
    return held(
        (worker, entry["eta"], entry["request"])
        for worker, tasks in found.items()
        for entry in tasks
    )


def held(tasks: Iterator[tuple[str, str | None, dict[str, Any]]]) -> bodies.HeldTasks:
    """Return the tasks that workers reported."""
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
    """Return a Unix timestamp as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def registered(app: App) -> bodies.Registered:
    """Return the tasks that each worker knows."""
    with servers.broker(app) as connection:
        return bodies.Registered(workers=servers.inspect(app, connection).registered() or {})


@contextmanager
def opened(app: App) -> Iterator[Letters]:
    """Open the dead letters, including those that the broker has set aside."""
    servers.check_broker(app)
    with store.opened(app) as letters:
        yield letters


def letters(app: App, wanted: bodies.DeadLetterFilter) -> bodies.DeadLetterPage:
    """Return dead letters, the newest first."""
    chosen = store.Filter(**wanted.model_dump(exclude={"limit", "offset"}))
    end = wanted.offset + wanted.limit
    with opened(app) as found:
        matching = (brief(letter) for letter in found if chosen.matches(letter))
        page = list(islice(matching, wanted.offset, end + 1))
    more = len(page) > wanted.limit
    return bodies.DeadLetterPage(letters=page[: wanted.limit], next_offset=end if more else None)


def brief(letter: DeadLetter) -> bodies.DeadLetter:
    """Return the fields of a dead letter that a list shows."""
    replayed_as = letter.history[-1]["as_id"] if letter.history else None
    return bodies.DeadLetter(**{**asdict(letter), "replayed_as": replayed_as})


def letter(app: App, letter_id: str) -> bodies.WholeDeadLetter:
    """Return everything about a dead letter.

    Raises:
        Problem: There is none with this id.
    """
    with opened(app) as found:
        return bodies.WholeDeadLetter(**plain(asdict(existing(found, letter_id))))


def existing(letters: Letters, letter_id: str) -> DeadLetter:
    """Return a dead letter.

    Raises:
        Problem: There is none with this id.
    """
    letter = letters.get(letter_id)
    if letter is None:
        raise unknown()
    return letter


def unknown() -> Problem:
    """Return the problem for an id that no dead letter has."""
    detail = "there is no dead letter with this id: GET /admin/dead-letters lists them"
    return Problem(HTTPStatus.NOT_FOUND, detail)


def replay(service: Service, letter_id: str) -> bodies.Accepted:
    """Send the task of a dead letter again, once, as a new task.

    Raises:
        DeadLetterError: It was replayed before, or it cannot be replayed.
        Problem: There is none with this id.
    """
    with opened(service.app) as found:
        return bodies.Accepted(id=service.replay(found, existing(found, letter_id), WHO))


def discard(app: App, letter_id: str) -> None:
    """Delete a dead letter.

    Raises:
        Problem: There is none with this id.
    """
    with opened(app) as found:
        if not found.discard(letter_id):
            raise unknown()
