from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import QueueNotFound

from {{ cookiecutter.package_name }} import celery, queues, tasks
from {{ cookiecutter.package_name }}.celery import app

#: Names that callers and waiting messages rely on, and where each task goes.
TASKS = {
    "heartbeat.beat": (queues.QueueName.DEFAULT, queues.Priority.NORMAL),
{% if cookiecutter.__sql %}
    "outbox.relay": (queues.QueueName.DEFAULT, queues.Priority.NORMAL),
{% endif %}
{% if cookiecutter.__django %}
    "jobs.clean_up": (queues.QueueName.BULK, queues.Priority.LOW),
{% endif %}
{% include "examples/" ~ cookiecutter.examples ~ "/test_queues.py" ignore missing %}
}


def route(name: str, **options: Any) -> tuple[str, int]:
    """Return where Celery would send a task with these options."""
    options = app.amqp.router.route(options, name)
    return options["queue"].name, options.get("priority", app.conf.task_default_priority)


def test_every_module_with_tasks_is_listed_and_every_task_is_known() -> None:
    app.loader.import_default_modules()
    own = {name for name in app.tasks if not name.startswith(("celery.", "tests."))}
    assert own == set(TASKS)
    files = Path(tasks.__path__[0]).glob("*.py")
    modules = {path.stem for path in files} - {"__init__", "base", "client", "progress"}
    listed = {name.removeprefix(f"{tasks.__name__}.") for name in celery.TASK_MODULES}
    assert {name for name in listed if "." not in name} == modules


@pytest.mark.parametrize("name", TASKS)
def test_a_task_goes_to_its_queue(name: str) -> None:
    assert route(name) == TASKS[name]


def test_an_unknown_task_goes_to_the_default_queue() -> None:
    assert route("new.task") == (queues.QueueName.DEFAULT, queues.Priority.NORMAL)


def test_an_urgent_call_goes_to_the_critical_queue() -> None:
    critical = (queues.QueueName.CRITICAL, queues.Priority.HIGH)
    for _ in range(2):  # routing one changes nothing for the next
        assert route("new.task", headers=queues.URGENT) == critical
    others = {queues.URGENT_HEADER: "no", "x-other": "yes"}
    assert route("new.task", headers=others) == (queues.QueueName.DEFAULT, queues.Priority.NORMAL)


def test_a_queue_that_the_caller_names_wins_over_urgency() -> None:
    options = app.amqp.router.route({"queue": "io", "headers": queues.URGENT}, "new.task")
    assert options["queue"].name == queues.QueueName.IO


def test_a_misspelt_queue_is_refused() -> None:
    with pytest.raises(QueueNotFound):
        app.send_task("new.task", queue="critcal")
