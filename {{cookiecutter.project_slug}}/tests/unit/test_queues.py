from pathlib import Path

import pytest
from celery.exceptions import QueueNotFound

from {{ cookiecutter.package_name }} import tasks
from {{ cookiecutter.package_name }}.celery import TASK_MODULES, app
from {{ cookiecutter.package_name }}.queues import Priority, QueueName

#: Names that callers and waiting messages rely on, and where each task goes.
TASKS = {
    "heartbeat.beat": (QueueName.DEFAULT, Priority.NORMAL),
{% if cookiecutter.examples %}
    "maintenance.check_disk": (QueueName.BULK, Priority.LOW),
    "maintenance.purge_artifacts": (QueueName.BULK, Priority.LOW),
    "notifications.send_bulk": (QueueName.BULK, Priority.LOW),
    "notifications.send_mail": (QueueName.IO, Priority.NORMAL),
    "notifications.send_password_reset": (QueueName.CRITICAL, Priority.HIGH),
    "notifications.send_verification": (QueueName.CRITICAL, Priority.HIGH),
    "reports.totals": (QueueName.CPU, Priority.NORMAL),
    "webhooks.deliver": (QueueName.IO, Priority.NORMAL),
{% endif %}
}


def route(name: str, **kwargs: object) -> tuple[str, int]:
    """Return where Celery would send a task."""
    options = app.amqp.router.route({}, name, (), kwargs)
    return options["queue"].name, options.get("priority", app.conf.task_default_priority)


def test_every_module_with_tasks_is_listed_and_every_task_is_known() -> None:
    app.loader.import_default_modules()
    own = {name for name in app.tasks if not name.startswith(("celery.", "tests."))}
    assert own == set(TASKS)
    files = Path(tasks.__path__[0]).glob("*.py")
    modules = {path.stem for path in files} - {"__init__", "base", "progress"}
    assert {name.rpartition(".")[2] for name in TASK_MODULES} == modules


@pytest.mark.parametrize("name", TASKS)
def test_a_task_goes_to_its_queue(name: str) -> None:
    assert route(name) == TASKS[name]


def test_an_unknown_task_goes_to_the_default_queue() -> None:
    assert route("new.task") == (QueueName.DEFAULT, Priority.NORMAL)


def test_an_urgent_call_goes_to_the_critical_queue() -> None:
    assert route("new.task", urgent=True) == (QueueName.CRITICAL, Priority.HIGH)
    assert route("new.task", urgent="no") == (QueueName.DEFAULT, Priority.NORMAL)


def test_a_misspelt_queue_is_refused() -> None:
    with pytest.raises(QueueNotFound):
        app.send_task("new.task", queue="critcal")


def test_every_queue_has_a_worker_in_the_procfile(request: pytest.FixtureRequest) -> None:
    procfile = (request.config.rootpath / "Procfile").read_text(encoding="utf-8")
    words = [line.split() for line in procfile.splitlines() if "--queues" in line]
    consumed = [name for line in words for name in line[line.index("--queues") + 1].split(",")]
    assert sorted(consumed) == sorted(QueueName)
