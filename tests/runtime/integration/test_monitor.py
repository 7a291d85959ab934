"""The command `celery monitor` on a running fleet."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from my_celery_project.queues import QueueName, to
from my_celery_project.runtime.cli import monitor  # noqa: F401 - what this is about
from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration

PLACE = to(QueueName.DEFAULT)
BEAT = "heartbeat.beat"


def enabled(fleet: Fleet) -> list[str]:
    """Ask the worker for events, and return what it says."""
    answers = fleet.app.control.broadcast("enable_events", reply=True, timeout=2) or []
    return [str(said["ok"]) for answer in answers for said in answer.values()]


def test_it_counts_what_runs_and_leaves_no_events_on(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_with("failing", "general")
    command = ["celery", "-A", fleet.package, "monitor", "--json", "--interval", "0.5"]
    output = tmp_path / "lines"
    with (
        output.open("wb") as file,
        subprocess.Popen(command, cwd=fleet.folder, env=fleet.environment, stdout=file) as process,
    ):

        def last() -> dict[str, Any]:
            lines = output.read_text("utf-8").splitlines()
            return dict(json.loads(lines[-1])) if lines else {"workers": [], "tasks": {}}

        def count(task: str, what: str) -> int:
            return int(last()["tasks"].get(task, {}).get(what, 0))

        try:
            wait_until(lambda: last()["workers"])
            for _ in range(20):
                fleet.send(BEAT, **PLACE)
            for _ in range(3):
                fleet.send("tests.needs", "/no/such/file", **PLACE)
            wait_until(lambda: count(BEAT, "succeeded") == 20)
            wait_until(lambda: count("tests.needs", "failed") == 3)
            assert count(BEAT, "received") == 20
            tasks = last()["tasks"]
            assert tasks[BEAT]["success_rate"] == 1
            assert 0 < tasks[BEAT]["mean_seconds"] < 10
            assert "PermanentError" in tasks["tests.needs"]["last_error"]
            assert {task["running"] for task in tasks.values()} == {0}
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
    wait_until(lambda: enabled(fleet) == ["task events enabled"])
