"""Tasks that are sent with a transaction: after it, and never without it."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery import chain
from celery.exceptions import QueueNotFound
from celery.signals import task_prerun
from host import BROKER
from kombu.utils.json import loads
from sqlalchemy import func, select

from my_celery_project import config
from my_celery_project.celery import app, create_app
from my_celery_project.runtime import context
from my_celery_project.runtime.sql import (
    database,
    outbox,
)
from my_celery_project.runtime.sql.outbox import (
    OutboxMessage,
)
from my_celery_project.runtime.sql.tables import (
    now,
)
from my_celery_project.runtime.sql.tasks import (
    relay,
)
from my_celery_project.runtime.tasks.base import (
    BaseTask,
)

pytestmark = pytest.mark.usefixtures("tables", "worker")

NOBODY = f"{BROKER.partition(':')[0]}://127.0.0.1:1/0"


@app.task(base=BaseTask, name="tests.note")
def note(number: int) -> None:
    """Do nothing, visibly: see `ran`."""


@pytest.fixture
def ran() -> Iterator[list[tuple[int, str, context.Context]]]:
    """Return the tasks that have run: argument, id and context."""
    runs: list[tuple[int, str, context.Context]] = []

    def append(task: Any, task_id: str, args: Any, **_: Any) -> None:
        if task.name == note.name:
            runs.append((args[0], task_id, context.current()))

    task_prerun.connect(append)
    yield runs
    task_prerun.disconnect(append)


Ran = list[tuple[int, str, context.Context]]


def numbers(ran: Ran, count: int) -> list[int]:
    """Wait until so many tasks have run, and for one too many; return their arguments."""
    deadline = time.monotonic() + 10
    while len(ran) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    return sorted(number for number, *_ in ran)


def waiting() -> int:
    """Return how many tasks the outbox holds."""
    with database.session() as session:
        return session.scalar(select(func.count()).select_from(OutboxMessage)) or 0


def test_a_task_is_sent_when_its_transaction_is_committed(ran: Ran) -> None:
    with database.session() as session:
        with context.bind(correlation_id="request-7"):
            database.send_on_commit(session, note.s(1))
            database.send_on_commit(session, note.s(2))
        assert numbers(ran, 0) == []
    assert numbers(ran, 2) == [1, 2]
    assert {seen.correlation_id for *_, seen in ran} == {"request-7"}


def test_a_task_is_not_sent_when_its_transaction_is_undone(ran: Ran) -> None:
    def fail() -> None:
        with database.session() as session:
            database.send_on_commit(session, note.s(1))
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    with database.Sessions(bind=database.engine()) as session:
        session.execute(select(1))
        database.send_on_commit(session, note.s(2))  # and closed without a commit
    assert numbers(ran, 0) == []


def test_what_a_savepoint_took_back_is_not_sent(ran: Ran) -> None:
    with database.session() as session:
        with session.begin_nested():
            database.send_on_commit(session, note.s(1))
        with session.begin_nested() as outer:
            with session.begin_nested():
                database.send_on_commit(session, note.s(2))
            outer.rollback()
        database.send_on_commit(session, note.s(3))
        assert numbers(ran, 0) == []
    assert numbers(ran, 2) == [1, 3]


def test_a_session_sends_what_each_of_its_transactions_commits(ran: Ran) -> None:
    with database.Sessions(bind=database.engine()) as session:
        for number in (1, 2):
            database.send_on_commit(session, note.s(number))
            session.commit()
            assert numbers(ran, number) == list(range(1, number + 1))


def test_the_outbox_sends_what_was_committed_under_the_id_that_it_gave(
    ran: Ran, run: Callable[..., Any]
) -> None:
    with context.bind(correlation_id="request-7", tenant="acme"), database.session() as session:
        task_id = outbox.add(session, note.s(1))
    assert numbers(ran, 0) == []
    assert run(relay) == ("SUCCESS", 1)
    assert numbers(ran, 1) == [1]
    assert ran == [(1, task_id, context.Context("request-7", "acme"))]
    assert waiting() == 0
    assert run(relay) == ("SUCCESS", 0)


def test_the_outbox_forgets_what_was_undone(ran: Ran, run: Callable[..., Any]) -> None:
    with database.session() as session:
        outbox.add(session, note.s(1))
        session.rollback()
    assert run(relay) == ("SUCCESS", 0)
    assert numbers(ran, 0) == []


def test_more_than_a_batch_is_sent_in_order_and_once_by_relays_that_compete(ran: Ran) -> None:
    total = 2 * outbox.BATCH + 50
    with database.session() as session:
        for number in range(total):
            outbox.add(session, note.s(number))
    with ThreadPoolExecutor(4) as threads:
        sent = [future.result() for future in [threads.submit(relay) for _ in range(4)]]
    assert sum(sent) == total
    assert numbers(ran, total) == list(range(total))


def test_what_no_broker_takes_stays(
    ran: Ran, run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    away = create_app(config.load().model_copy(update={"broker_url": NOBODY}))
    with database.session() as session:
        outbox.add(session, note.s(1))
        outbox.add(session, note.s(2))
    with caplog.at_level(logging.WARNING), database.session() as session:
        assert outbox.send_batch(away, session) == 0
    assert "is waiting for the broker" in caplog.text
    assert waiting() == 2
    assert run(relay) == ("SUCCESS", 2)
    assert numbers(ran, 2) == [1, 2]


def test_what_cannot_be_sent_holds_up_nothing(
    ran: Ran, run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with database.session() as session:
        outbox.add(session, note.s(1))
        outbox.add(session, note.s(2))
    with database.session() as session:  # as if a deployment had removed the queue
        row = session.scalars(select(OutboxMessage).order_by(OutboxMessage.number)).first()
        assert row
        message = json.loads(row.message)
        message["task"]["options"]["queue"] = "gone"
        row.message = json.dumps(message)
    assert run(relay) == ("SUCCESS", 1)
    assert numbers(ran, 1) == [2]
    assert waiting() == 1
    assert "Could not send a task from the outbox" in caplog.text


def test_a_countdown_begins_when_it_is_added(ran: Ran, run: Callable[..., Any]) -> None:
    with database.session() as session:
        outbox.add(session, note.s(1).set(countdown=1))
        options = loads(session.scalars(select(OutboxMessage.message)).one())["task"]["options"]
    assert "countdown" not in options
    assert options["eta"] < now() + timedelta(seconds=1)
    assert run(relay) == ("SUCCESS", 1)
    assert numbers(ran, 1) == [1]


@pytest.mark.parametrize(
    ("task", "error", "text"),
    [
        (chain(note.si(1), note.si(2)), ValueError, "add a task that starts it"),
        (note.s(1).set(queue="critcal"), QueueNotFound, "critcal"),
        (note.s(object()), TypeError, "object"),
    ],
)
def test_what_could_never_be_sent_is_refused(task: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text), database.session() as session:
        outbox.add(session, task)
    assert waiting() == 0


def test_a_database_that_is_away_is_waited_for(
    ran: Ran, ended: Counter[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.session() as session:
        outbox.add(session, note.s(1))
    database.engine.close()
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", "sqlite:////no/such/folder/database.sqlite")
        relay.delay()
        deadline = time.monotonic() + 10
        while not ended["outbox.relay", "RETRY"]:
            assert time.monotonic() < deadline, "timed out"
            time.sleep(0.01)
        database.engine.close()
    assert numbers(ran, 1) == [1]
