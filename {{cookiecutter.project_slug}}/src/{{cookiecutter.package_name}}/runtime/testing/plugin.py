"""Fixtures of pytest that every test of a project may use."""

from __future__ import annotations

import os
import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import states
from celery.contrib.testing.worker import start_worker
from celery.signals import task_postrun
from celery.utils import uuid
from celery.worker.state import reserved_requests

from . import Outcome, Project
from .fleet import Fleet, open_fleet
from .servers import Server

RUNTIME = Path(__file__).parents[1]

# What a project has not chosen has no folder, and so no fixtures.
pytest_plugins = [
    f"{__package__.rpartition('.')[0]}.{part}.testing"
    for part in ("redis", "sql", "web")
    if (RUNTIME / part / "testing.py").is_file()
]


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
def worker(project: Project) -> Iterator[None]:
    """Run a real worker for all queues, in a thread of this process, on a broker in memory."""
    # pytest shows the log of a test that fails. The terminal need not show failures on purpose.
    with start_worker(
        project.app, pool="threads", concurrency=2, perform_ping_check=False, logfile=os.devnull
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


@pytest.fixture(scope="session")
def urls(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yield the URLs of real servers, as settings.

    A variable such as `TEST_BROKER_URL` names a server; without it, the tests start their own.
    """
    found: dict[type[Server], str] = {}
    with ExitStack() as stack:

        def url(setting: str, server: type[Server]) -> str:
            if given := os.environ.get(f"TEST_{setting.upper()}"):
                return found.setdefault(server, given)
            if server not in found:
                folder = tmp_path_factory.mktemp("server")
                found[server] = stack.enter_context(server().run(folder, project.root))
            return found[server]

        yield {setting: url(setting, server) for setting, server in project.servers.items()}


@pytest.fixture
def fleet(
    project: Project, urls: dict[str, str], empty_folder: None, request: pytest.FixtureRequest
) -> Iterator[Fleet]:
    """Yield the processes of the Procfile, of which none has been started yet."""
    with open_fleet(project, urls, Path.cwd(), request.path.parent) as fleet:
        yield fleet
