"""Rules for every task and every route, without a list of the tasks."""

from fnmatch import fnmatchcase
from typing import Any

import pytest

from {{ cookiecutter.package_name }} import queues
from {{ cookiecutter.package_name }}.celery import app

app.loader.import_default_modules()
TASKS: dict[str, Any] = dict(app.tasks)
OWN = sorted(name for name, task in TASKS.items() if task.__module__.startswith(f"{app.main}."))


def route(name: str, **options: Any) -> tuple[str, int]:
    """Return where Celery would send a task with these options."""
    options = app.amqp.router.route(options, name)
    return options["queue"].name, options["priority"]


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
def test_a_task_goes_where_it_or_its_row_says_or_to_the_default_queue(name: str) -> None:
    usual = queues.to(queues.QueueName.DEFAULT)
    own = TASKS[name].destination
    expected = {**usual, **(own or queues.TASK_ROUTES.get(row(name) or "", {}))}
    assert route(name) == (expected["queue"], expected["priority"])
    assert expected["queue"] in list(queues.QueueName)


@pytest.mark.parametrize("pattern", queues.TASK_ROUTES)
def test_a_route_decides_about_a_task(pattern: str) -> None:
    assert any(row(name) == pattern for name in app.tasks), (
        f"no task is named like {pattern!r}, or another row stands before it: see queues.py"
    )
