"""Where a message goes, and with which priority, however the task is sent."""

import subprocess
import sys
from typing import Any

import pytest
from celery import chain

from my_celery_project.celery import app
from my_celery_project.queues import (
    URGENT,
    Priority,
    QueueName,
    to,
)
from my_celery_project.runtime.tasks.base import (
    AtMostOnceTask,
)

Sent = list[tuple[str, int]]

NORMAL = app.conf.task_default_priority


@app.task(name="routes.usual")
def usual() -> None: ...


@app.task(name="routes.cpu", queue=QueueName.CPU)
def cpu() -> None: ...


@app.task(name="routes.low", **to(QueueName.BULK, Priority.LOW))
def low() -> None: ...


class OtherServer(AtMostOnceTask):
    queue = "io"
    abstract = True


@app.task(base=OtherServer, name="routes.call")
def call() -> None: ...


@app.task(base=OtherServer, name="routes.call_first", priority=Priority.HIGH)
def call_first() -> None: ...


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Note queue and priority of every message in place of publishing it."""
    found: Sent = []

    def note(*_: Any, **options: Any) -> None:
        found.append((options["queue"].name, options["priority"]))

    monkeypatch.setattr(app.amqp, "send_task_message", note)
    return found


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (usual, (QueueName.DEFAULT, NORMAL)),
        (cpu, (QueueName.CPU, NORMAL)),
        (low, (QueueName.BULK, Priority.LOW)),
        (call, (QueueName.IO, NORMAL)),
        (call_first, (QueueName.IO, Priority.HIGH)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_task_names_its_queue_and_priority(task: Any, expected: Any, sent: Sent) -> None:
    task.delay()
    app.send_task(task.name)
    task.s().apply_async()
    chain(task.si(), usual.si()).apply_async()
    assert sent == [expected] * 4


def test_a_process_that_has_imported_no_task_knows_where_it_goes() -> None:
    code = """
from my_celery_project.celery import app
def late(): pass
app.loader.import_default_modules = lambda: app.task(name="late", queue="cpu")(late)
print(app.amqp.router.route({}, "late")["queue"].name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "cpu"


def test_a_row_of_the_table_decides_with_its_priority(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    table: Any = app.amqp.routes[-1]
    monkeypatch.setitem(table.map, usual.name, to(QueueName.IO, Priority.LOW))
    usual.delay()
    assert sent == [(QueueName.IO, Priority.LOW)]


@pytest.mark.parametrize("task", [usual, cpu, low, call_first], ids=lambda task: task.name)
def test_an_urgent_call_leaves_the_queue_of_its_task(task: Any, sent: Sent) -> None:
    task.apply_async(headers=URGENT)
    app.send_task(task.name, headers=URGENT)
    assert sent == [(QueueName.CRITICAL, Priority.HIGH)] * 2


def test_what_the_caller_names_wins(sent: Sent) -> None:
    low.apply_async(queue="io", priority=Priority.HIGH)
    low.apply_async(priority=Priority.HIGH, headers=URGENT)
    low.apply_async(queue="cpu")
    assert sent == [
        (QueueName.IO, Priority.HIGH),
        (QueueName.CRITICAL, Priority.HIGH),
        (QueueName.CPU, Priority.LOW),
    ]


def test_a_batch_goes_where_its_items_go(sent: Sent) -> None:
    low.map([(), ()]).apply_async()
    low.starmap([(), ()]).apply_async()
    assert sent == [(QueueName.BULK, Priority.LOW)] * 2
