from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.schedules import BaseSchedule, crontab

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.queues import QueueName
from {{ cookiecutter.package_name }}.schedule import SCHEDULE


@pytest.mark.parametrize("name", SCHEDULE)
def test_an_entry_names_a_task_a_queue_and_a_real_schedule(name: str) -> None:
    app.loader.import_default_modules()
    entry = SCHEDULE[name]
    assert entry["task"] in app.tasks
    assert entry["options"]["queue"] in list(QueueName)
    assert isinstance(entry["schedule"], BaseSchedule)


def interval(when: Any) -> timedelta:
    """Return the time between two runs."""
    if not isinstance(when, crontab):
        return timedelta(seconds=when.seconds)
    runs = [datetime(2026, 1, 1, tzinfo=UTC)]
    for _ in range(2):
        last, delta, _now = when.remaining_delta(runs[-1])
        runs.append(last + delta)
    return runs[2] - runs[1]


@pytest.mark.parametrize("name", SCHEDULE)
def test_an_entry_expires_before_its_next_run(name: str) -> None:
    expires = timedelta(seconds=SCHEDULE[name]["options"]["expires"])
    assert expires < interval(SCHEDULE[name]["schedule"])
