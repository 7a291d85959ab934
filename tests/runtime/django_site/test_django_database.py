"""How tasks use the database."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection

from my_celery_project.celery import app
from my_celery_project.runtime.django import part  # noqa: F401 - what this is about
from my_celery_project.runtime.tasks.base import (
    BaseTask,
)

FAILURES: list[str] = []


@app.task(base=BaseTask, name="tests.query")
def query() -> bool:
    found_open = connection.connection is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return found_open


@app.task(base=BaseTask, name="tests.outage", retry_backoff=False, default_retry_delay=0)
def outage() -> int:
    FAILURES.append("away")
    if len(FAILURES) < 3:
        raise OperationalError("the connection is closed")
    return len(FAILURES)


@pytest.mark.django_db(transaction=True)
def test_no_task_finds_a_connection_of_another_one(run: Callable[..., Any]) -> None:
    assert [run(query) for _ in range(6)] == [("SUCCESS", False)] * 6


def test_a_database_that_is_away_is_waited_for(run: Callable[..., Any]) -> None:
    FAILURES.clear()
    assert run(outage) == ("SUCCESS", 3)
