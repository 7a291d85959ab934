from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.schedules import BaseSchedule

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.queues import QueueName
from {{ cookiecutter.package_name }}.schedule import SCHEDULE


@pytest.mark.parametrize("name", SCHEDULE)
def test_an_entry_names_a_task_a_queue_and_a_real_schedule(name: str) -> None:
    app.loader.import_default_modules()
    entry = SCHEDULE[name]
    assert entry["task"] in app.tasks
    assert entry["options"].get("queue", QueueName.DEFAULT) in list(QueueName)
    assert isinstance(entry["schedule"], BaseSchedule)


def runs(when: BaseSchedule, start: datetime) -> Iterator[datetime]:
    """Yield the runs after a time."""
    clock: Any = copy(when)
    clock.nowfun = lambda: start
    while True:
        start += clock.remaining_estimate(start)
        yield start


@pytest.mark.parametrize("name", SCHEDULE)
def test_an_entry_expires_before_its_next_run(name: str) -> None:
    expires = timedelta(seconds=SCHEDULE[name]["options"]["expires"])
    times = runs(SCHEDULE[name]["schedule"], datetime(2026, 1, 1, tzinfo=UTC))
    first, *others = (next(times) for _ in range(100))
    for run in others:
        assert expires < run - first
        first = run
