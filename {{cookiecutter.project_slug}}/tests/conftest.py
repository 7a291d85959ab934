"""What all tests share.

Celery reads `CELERY_BROKER_URL` from the process before any configuration object, so a shell that
points at a real broker would lead every test there. All such variables go before the first import.
"""

# ruff: noqa: E402
import os

for name in list(os.environ):
    if name.startswith(("CELERY_", "APP_")) or name in {"APP", "BROKER_URL", "RESULT_BACKEND"}:
        del os.environ[name]
os.environ["APP_ENV"] = "testing"

import queue
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from celery import states
from celery.contrib.testing.worker import start_worker
from celery.signals import task_postrun
from celery.utils import uuid

from {{ cookiecutter.package_name }}.celery import app


class Outcome(NamedTuple):
    """How a task ended: its state, and its result or error."""

    state: str
    value: Any


@pytest.fixture(autouse=True)
def empty_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder without `.env`, where files may be left."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="session")
def worker() -> Iterator[None]:
    """Run a real worker for all queues, in a thread of this process, on a broker in memory."""
    with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False):
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
            return outcomes.get(timeout=timeout)
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
