"""Nothing is lost when workers are killed or deployed while they are busy: `make faults`."""

import os
import re
import signal

import pytest
from fleet import STOP_TIME, Fleet
from servers import LEASE, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.faults]

TASKS = 150


def ended(fleet: Fleet) -> set[str]:
    """Return the ids of the tasks that have ended."""
    return set(fleet.succeeded("tests.slow"))


@pytest.fixture
def busy(fleet: Fleet) -> tuple[Fleet, set[str]]:
    """Return a worker in the middle of its work, named `one`, and the ids of all its tasks."""
    sent = {fleet.send("tests.slow", 0.05) for _ in range(TASKS)}
    fleet.start_with("slow", "one", GENERAL_CONCURRENCY="2")
    wait_until(lambda: len(ended(fleet)) > 10)
    return fleet, sent


def test_a_killed_worker_loses_nothing(busy: tuple[Fleet, set[str]]) -> None:
    fleet, sent = busy
    fleet.kill("one")
    assert len(ended(fleet)) < TASKS
    fleet.start_with("slow", "two")
    wait_until(lambda: ended(fleet) == sent, timeout=LEASE + 40)


def test_a_killed_process_of_a_worker_loses_nothing(fleet: Fleet) -> None:
    long = fleet.send("tests.slow", 3)
    sent = {long, *(fleet.send("tests.slow", 0.05) for _ in range(TASKS))}
    fleet.start_with("slow", "one", GENERAL_POOL="prefork", GENERAL_CONCURRENCY="2")
    started = re.compile(rf"{long}\]: slow started in (\d+)")
    wait_until(lambda: len(ended(fleet)) > 10 and started.search(fleet.log()))
    os.kill(int(started.findall(fleet.log())[0]), signal.SIGKILL)
    wait_until(lambda: ended(fleet) == sent, timeout=40)
    assert f"The process of tests.slow[{long}] was lost (1 so far)" in fleet.log()


def test_a_deploy_loses_nothing_and_repeats_nothing(busy: tuple[Fleet, set[str]]) -> None:
    fleet, sent = busy
    fleet.start_with("slow", "two")
    fleet.workers["one"].terminate()
    assert fleet.workers["one"].wait(STOP_TIME) == 0
    wait_until(lambda: ended(fleet) == sent, timeout=40)
    assert fleet.log().count("slow started") == TASKS
