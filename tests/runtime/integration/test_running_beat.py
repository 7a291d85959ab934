"""Schedules that change while the beat of the Procfile runs, on a real Redis."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from my_celery_project.runtime.beat import redbeat  # noqa: F401 - what this is about
from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration

Command = Callable[..., str]


@pytest.fixture
def schedule(fleet: Fleet) -> Command:
    """Return a function that runs `celery schedule`; beat looks for changes every second."""
    fleet.environment |= {
        "CELERY_REDBEAT_KEY_PREFIX": f"test-{uuid.uuid4()}:",
        "CELERY_REDBEAT_LOCK_TIMEOUT": "3",
        "CELERY_BEAT_MAX_LOOP_INTERVAL": "1",
    }
    command = [sys.executable, "-m", "celery", "-A", str(fleet.app.main), "schedule"]

    def run(*words: str) -> str:
        return subprocess.check_output(
            [*command, *words], env=fleet.environment, encoding="utf-8", timeout=60
        )

    return run


def add(schedule: Command) -> None:
    """Let a heartbeat be sent every second."""
    options = ("--every", "1", "--expires", "0.5", "--queue", "bulk")
    schedule("add", "mine", "heartbeat.beat", *options)


def sent(fleet: Fleet, *beats: str) -> int:
    return fleet.log(*beats).count("Sending due task mine")


def mine(schedule: Command) -> Any:
    return {row["name"]: row for row in json.loads(schedule("list", "--json"))}.get("mine")


def test_a_schedule_that_is_added_runs_at_once_and_after_a_restart(
    fleet: Fleet, schedule: Command
) -> None:
    fleet.run({"one": fleet.procfile["beat"]})
    add(schedule)
    wait_until(lambda: sent(fleet) > 1)
    assert fleet.stop("one") == 0
    fleet.run({"two": fleet.procfile["beat"]})
    wait_until(lambda: sent(fleet, "two") > 1)
    assert mine(schedule)["origin"] == "run time"


def test_a_running_beat_sees_a_pause_a_resumption_and_a_removal(
    fleet: Fleet, schedule: Command
) -> None:
    fleet.run({"one": fleet.procfile["beat"]})
    add(schedule)
    wait_until(lambda: sent(fleet))
    schedule("pause", "mine")
    before = sent(fleet)
    assert mine(schedule)["enabled"] is False  # takes longer than the interval
    assert sent(fleet) <= before + 1
    schedule("resume", "mine")
    wait_until(lambda: sent(fleet) > before + 1)
    schedule("remove", "mine")
    before = sent(fleet)
    assert mine(schedule) is None
    assert sent(fleet) <= before + 1
