"""Fixtures for all tests.

Celery reads `CELERY_BROKER_URL` from the process before any configuration object, so a shell that
points at a real broker would lead every test there. All such variables go before the first import.
"""

# ruff: noqa: E402
import os

for name in list(os.environ):
    ours = name.startswith(("APP_", "CELERY_", "DATABASE_"))
    if ours or name in {"APP", "BROKER_URL", "RESULT_BACKEND"}:
        del os.environ[name]
{% if cookiecutter.__django %}
    if name.startswith(("ALLOWED_", "CSRF_", "DJANGO_", "SECRET_", "SECURE_")):
        del os.environ[name]
os.environ["LOG_LEVEL"] = "WARNING"
os.environ["DATABASE_URL"] = {{ 'os.environ.get("TEST_DATABASE_URL", "sqlite:///.celery/tests.sqlite3")' if cookiecutter.database == "postgresql" else '"sqlite:///.celery/tests.sqlite3"' }}
{% endif %}
os.environ["APP_ENV"] = "testing"

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

{% if cookiecutter.__django %}
import django
{% endif %}
import pytest
{% if cookiecutter.__sql %}
from alembic import command
from alembic.config import Config
{% endif %}
from celery import states
from celery.contrib.testing.worker import start_worker
from celery.signals import task_postrun
from celery.utils import uuid
from celery.worker.state import reserved_requests
{% if cookiecutter.__store %}
from fakeredis import FakeRedis
{% endif %}

from {{ cookiecutter.package_name }}.celery import app
{% if cookiecutter.__store %}
from {{ cookiecutter.package_name }}.runtime.redis import store
{% endif %}
{% if cookiecutter.__sql %}
from {{ cookiecutter.package_name }}.runtime.sql import (
    settings as database_settings,
)
from {{ cookiecutter.package_name }}.runtime.sql.database import (
    engine,
)
{% endif %}
{% if cookiecutter.__django %}

# Not by the settings of pytest-django, which would read them before the lines above.
django.setup()
{% endif %}


class Outcome(NamedTuple):
    """How a task ended: its state, and its result or error."""

    state: str
    value: Any


@pytest.fixture(autouse=True)
def empty_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Run in a folder without `.env`, where files may be left; no task outlasts its test."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    wait_until_idle()


def wait_until_idle() -> None:
    """Wait until the worker has finished everything; signals may come later than the outcome."""
    deadline = time.monotonic() + 10
    while reserved_requests and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture
def idle() -> Callable[[], None]:
    """Return a function that waits until the worker has nothing to do."""
    return wait_until_idle


@pytest.fixture(scope="session")
def worker() -> Iterator[None]:
    """Run a real worker for all queues, in a thread of this process, on a broker in memory."""
    # pytest shows the log of a test that fails. The terminal need not show failures on purpose.
    with start_worker(
        app, pool="threads", concurrency=2, perform_ping_check=False, logfile=os.devnull
    ):
        yield


@pytest.fixture
def run(worker: None) -> Callable[..., Outcome]:
    """Return a function that sends a task as production does and waits until it has ended."""

    def run(task: Any, *args: Any, timeout: float = 30, **kwargs: Any) -> Outcome:
        sent, outcomes = uuid(), queue.Queue[Outcome]()

        def ended(task_id: str, state: str, retval: Any, **_: Any) -> None:
            if task_id == sent and state in states.READY_STATES:
                outcomes.put(Outcome(state, retval))

        task_postrun.connect(ended)
        try:
            task.apply_async(args, kwargs, task_id=sent)
            outcome = outcomes.get(timeout=timeout)
            wait_until_idle()
            return outcome
        finally:
            task_postrun.disconnect(ended)

    return run


@pytest.fixture
def ended() -> Iterator[Counter[tuple[str, str]]]:
    """Count the tasks that end from now on: pairs of name and state, `RETRY` included."""
    counts = Counter[tuple[str, str]]()

    def count(task: Any, state: str, **_: Any) -> None:
        counts[task.name, state] += 1

    task_postrun.connect(count)
    yield counts
    task_postrun.disconnect(count)
{% if cookiecutter.__store %}


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRedis]:
    """Keep the project's state in a Redis in memory, which is empty."""
    with FakeRedis() as client:
        client.flushall()
        monkeypatch.setattr(store, "client", lambda: client)
        yield client
{% endif %}
{% if cookiecutter.__sql %}


@pytest.fixture
def migrations(request: pytest.FixtureRequest) -> Config:
    """Return what Alembic's commands need."""
    return Config(toml_file=request.config.rootpath / "pyproject.toml")


{% include "databases/" ~ cookiecutter.database ~ "/fixture.py" %}
{% endif %}
