"""Where a call goes that no row of the table decides about."""

from typing import Any

import pytest
from celery.exceptions import QueueNotFound

from my_celery_project import queues
from my_celery_project.celery import app


def route(name: str, **options: Any) -> tuple[str, int]:
    """Return where Celery would send a task with these options."""
    options = app.amqp.router.route(options, name)
    return options["queue"].name, options.get("priority", app.conf.task_default_priority)


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
