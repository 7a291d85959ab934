"""What a process imports that only publishes: little beside Celery, so that web processes and commands start soon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import Baked, Copied
from support import python_of
from test_runtime import modules
from variants import Answers, variant_id

#: Plain Celery with the transport of the variant, and then the project's app, ready to send; told is what that added.
PUBLISHER = """
import importlib, json, sys
import celery, kombu

plain = celery.Celery(broker="{broker}://")
plain.finalize()
plain.amqp, plain.connection_for_write().transport
before = set(sys.modules)
app = importlib.import_module("{package}.celery").app
{more}
app.finalize()
app.amqp, app.connection_for_write().transport
print(json.dumps([name for name in sys.modules.keys() - before if sys.modules[name].__spec__]))
"""

#: What Celery consists of.
CELERY = {"amqp", "billiard", "celery", "kombu"}

#: What settings are read with.
SETTINGS = {
    "annotated_types",
    "dotenv",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "typing_extensions",
    "typing_inspection",
}

#: The rooms and modules of the engine room that do their work elsewhere: in a worker, beat, a command or a request.
ELSEWHERE = (
    "aio",
    "answers",
    "beat.redbeat",
    "beat.schedules",
    "beat.ticks",
    "cli",
    "django.models",
    "fastapi",
    "flask",
    "guards",
    "letters",
    "rabbitmq.topology_step",
    "redis.backlog",
    "redis.lease",
    "sql.database",
    "tasks.http",
    "tasks.progress",
    "web",
    "worker",
)

#: The modules of the owner that make the app.
OWN = {"", "celery", "config", "limits", "queues", "schedule"}

#: Variants, with the libraries that hold the errors after which their tasks are tried again.
VARIANTS: list[tuple[Answers, set[str]]] = [
    ({}, set()),
    ({"broker": "rabbitmq", "result_backend": "none", "beat": "none", "examples": "all"}, set()),
    ({"framework": "django"}, {"asgiref", "django"}),
    ({"framework": "fastapi"}, set()),
    ({"framework": "fastapi", "database": "postgresql"}, {"sqlalchemy"}),
]

#: The libraries that the tasks of examples import, whether they run or not.
EXAMPLES: dict[str, set[str]] = {"starter": set(), "all": {"pybreaker"}}

#: What a process runs that imports the modules of the tasks too, to send them.
TASKS = "app.loader.import_default_modules()"


class Imported(NamedTuple):
    """What importing an app adds to plain Celery.

    Args:
        libraries: Packages of others.
        runtime: Modules of the engine room that do their work elsewhere.
        own: Modules of the owner.
    """

    libraries: set[str]
    runtime: set[str]
    own: set[str]


def imported(project: Path, environment: Path, more: str = "") -> Imported:
    """Import the app of a project in a process of its own.

    Args:
        project: Its folder.
        environment: Where its libraries are.
        more: Python that the process runs before it could send a task.
    """
    (app,) = project.glob("src/*/celery.py")
    package, broker = app.parent.name, "amqp" if (app.parent / "runtime" / "rabbitmq").exists() else "redis"
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("APP_", "CELERY_", "DATABASE_"))}
    done = subprocess.run(
        [python_of(environment), "-c", PUBLISHER.format(broker=broker, package=package, more=more)],
        cwd=project,
        env={**bare, "PYTHONPATH": "src", "CELERY_BROKER_URL": f"{broker}://user:password@127.0.0.1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = set(json.loads(done.stdout.splitlines()[-1]))
    ours = {name.removeprefix(package).removeprefix(".") for name in names if name.partition(".")[0] == package}
    runtime = {name.removeprefix("runtime.") for name in ours if name.startswith("runtime.")}
    return Imported(
        {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, *CELERY, package},
        {name for name in runtime if any(f"{name}.".startswith(f"{place}.") for place in ELSEWHERE)},
        {name for name in ours if name.partition(".")[0] != "runtime"},
    )


def test_every_place_of_work_that_publishers_do_not_do_is_there() -> None:
    places = {name.removeprefix("runtime.") for name in modules()}
    assert [place for place in ELSEWHERE if place not in places] == []


@pytest.mark.parametrize(("answers", "errors"), VARIANTS, ids=[variant_id(answers) for answers, _ in VARIANTS])
def test_an_app_imports_little_beside_celery(
    answers: Answers, errors: set[str], baked: Baked, environment: Path
) -> None:
    found = imported(baked(answers), environment)
    assert found == Imported(found.libraries, set(), found.own)
    assert found.libraries <= SETTINGS | errors
    assert found.own <= OWN


@pytest.mark.parametrize("examples", EXAMPLES)
def test_tasks_import_the_libraries_that_they_use_when_they_run(examples: str, baked: Baked, environment: Path) -> None:
    found = imported(baked({"examples": examples}), environment, TASKS)
    assert "tasks.webhooks" in found.own
    assert found.libraries <= SETTINGS | EXAMPLES[examples]


@pytest.mark.parametrize(
    ("module", "text", "fault"),
    [
        ("celery.py", "from .runtime.worker import request", Imported(SETTINGS, {"worker.request"}, OWN)),
        ("celery.py", "from . import tasks", Imported(SETTINGS, set(), OWN | {"tasks"})),
        ("runtime/context.py", "import httpx", Imported(SETTINGS | {"httpx"}, set(), OWN)),
        ("runtime/tasks/base.py", "from ..letters import store", Imported(SETTINGS, {"letters.store"}, OWN)),
    ],
)
def test_what_an_app_imports_too_much_is_found(
    module: str, text: str, fault: Imported, copied: Copied, environment: Path, tmp_path: Path
) -> None:
    project = copied({}, tmp_path)
    (file,) = project.glob(f"src/*/{module}")
    file.write_text(f"{file.read_text('utf-8')}\n{text}\n", "utf-8")
    found = imported(project, environment)
    for wrong, all_found in zip(fault, found, strict=True):
        assert wrong <= all_found
