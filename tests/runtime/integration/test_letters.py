"""Dead letters on a real broker."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from my_celery_project.runtime.testing import Project
from my_celery_project.runtime.testing.fleet import Fleet, open_fleet
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration


def celery(fleet: Fleet, *arguments: str, code: int = 0) -> str:
    """Return what `celery dead-letters` writes."""
    command = ["celery", "-A", "failing", "dead-letters", *arguments]
    done = subprocess.run(
        command, cwd=fleet.folder, env=fleet.environment, capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr.decode()
    return (done.stdout if code == 0 else done.stderr).decode()


def listed(fleet: Fleet) -> list[dict[str, Any]]:
    """Return all dead letters, as the command lists them."""
    return list(json.loads(celery(fleet, "list", "--json", "--limit", "5000")))


def fail(fleet: Fleet, path: Path, times: int = 1) -> list[str]:
    """Send tasks that fail for want of a file, wait for their dead letters, and return their ids."""
    sent = [fleet.send("tests.needs", str(path)) for _ in range(times)]

    def told() -> set[str]:
        # A worker stores a dead letter before it says that the task has failed. To look at its log
        # takes a fraction of the time of the command.
        return set(re.findall(r"dead-letters show ([-0-9a-f]+)", fleet.log()))

    wait_until(lambda: told() >= set(sent))
    return sent


@pytest.fixture(scope="module")
def worker(
    project: Project, urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    folder, modules = tmp_path_factory.mktemp("worker"), Path(__file__).parent
    with open_fleet(project, urls, folder, modules) as fleet:
        fleet.start_with("failing", "one")
        yield fleet
        celery(fleet, "purge", "--all", "--yes")


@pytest.fixture
def failing(worker: Fleet) -> Fleet:
    """Return a worker whose task fails, and no dead letters."""
    celery(worker, "purge", "--all", "--yes")
    return worker


def test_a_letter_is_replayed_once_and_succeeds(failing: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "file"
    (task_id,) = fail(failing, path)
    path.touch()
    celery(failing, "replay", task_id)
    replay_id = json.loads(celery(failing, "show", task_id, "--json"))["history"][0]["as_id"]
    wait_until(lambda: f"[{replay_id}] succeeded" in failing.log())
    assert replay_id in celery(failing, "replay", task_id, code=1)


def test_listing_changes_nothing(failing: Fleet, tmp_path: Path) -> None:
    sent = fail(failing, tmp_path / "file", times=20)
    first = listed(failing)
    assert {letter["id"] for letter in first} == set(sent)
    assert [listed(failing) for _ in range(2)] == [first] * 2


def test_many_are_replayed_at_a_rate(failing: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "file"
    fail(failing, path, times=450)  # stores read 200 at once
    path.touch()
    before, start = len(failing.succeeded("tests.needs")), time.monotonic()
    answer = celery(failing, "replay", "--error", "PermanentError", "--rate", "150/s")
    assert "450 replayed" in answer
    assert time.monotonic() - start >= 3
    wait_until(lambda: len(failing.succeeded("tests.needs")) == before + 450)
