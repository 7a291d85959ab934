"""Rules for every task and every route, without a list of the tasks."""

from fnmatch import fnmatchcase
from typing import Any

import pytest
from celery.exceptions import QueueNotFound

from {{ cookiecutter.package_name }} import queues
from {{ cookiecutter.package_name }}.celery import app

app.loader.import_default_modules()
OWN = sorted(name for name, task in app.tasks.items() if task.__module__.startswith(f"{app.main}."))


def route(name: str, **options: Any) -> tuple[str, int]:
    """Return where Celery would send a task with these options."""
    options = app.amqp.router.route(options, name)
    return options["queue"].name, options.get("priority", app.conf.task_default_priority)


def row(name: str) -> str | None:
    """Return the row of the table that decides about a task."""
    if name in queues.TASK_ROUTES:
        return name
    return next((pattern for pattern in queues.TASK_ROUTES if fnmatchcase(name, pattern)), None)


def test_there_are_tasks() -> None:
    assert OWN


@pytest.mark.parametrize("name", OWN)
def test_a_task_has_a_name_of_its_own(name: str) -> None:
    assert not name.startswith(app.main), f'{name}: add name="..." to @app.task, for it may move'


@pytest.mark.parametrize("name", OWN)
def test_a_task_goes_where_its_row_says_or_to_the_default_queue(name: str) -> None:
    usual = queues.to(queues.QueueName.DEFAULT)
    expected = queues.TASK_ROUTES.get(row(name) or "", usual)
    assert route(name) == (expected["queue"], expected["priority"])
    assert expected["queue"] in list(queues.QueueName)


@pytest.mark.parametrize("pattern", queues.TASK_ROUTES)
def test_a_route_decides_about_a_task(pattern: str) -> None:
    assert any(row(name) == pattern for name in app.tasks), (
        f"no task is named like {pattern!r}, or another row stands before it: see queues.py"
    )


def test_an_unknown_task_goes_to_the_default_queue() -> None:
    assert route("new.task") == (queues.QueueName.DEFAULT, queues.Priority.NORMAL)


def test_an_urgent_call_goes_to_the_critical_queue() -> None:
    critical = (queues.QueueName.CRITICAL, queues.Priority.HIGH)
    for _ in range(2):  # routing one changes nothing for the next
        assert route("new.task", headers=queues.URGENT) == critical
    others = {**dict.fromkeys(queues.URGENT, "no"), "x-other": "yes"}
    assert route("new.task", headers=others) == (queues.QueueName.DEFAULT, queues.Priority.NORMAL)


def test_a_queue_that_the_caller_names_wins_over_urgency() -> None:
    options = app.amqp.router.route({"queue": "io", "headers": queues.URGENT}, "new.task")
    assert options["queue"].name == queues.QueueName.IO


def test_a_misspelt_queue_is_refused() -> None:
    with pytest.raises(QueueNotFound):
        app.send_task("new.task", queue="critcal")
