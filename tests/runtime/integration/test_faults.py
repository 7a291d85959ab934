"""Nothing is lost when workers are killed or deployed while they are busy."""

import os
import re
import signal

import pytest

from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration

TASKS = 150


def ended(fleet: Fleet) -> set[str]:
    """Return the ids of the tasks that have ended."""
    return set(fleet.succeeded("tests.slow"))


@pytest.fixture(autouse=True)
def not_solo(fleet: Fleet) -> None:
    if fleet.pool == "solo":
        pytest.skip("a solo worker has no processes, and no lease that is renewed")


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
    wait_until(lambda: ended(fleet) == sent, timeout=fleet.lease + 40)


def test_a_killed_process_of_a_worker_loses_nothing(fleet: Fleet) -> None:
    long = fleet.send("tests.slow", 3)
    sent = {long, *(fleet.send("tests.slow", 0.05) for _ in range(TASKS))}
    fleet.start_with("slow", "one", GENERAL_POOL="prefork", GENERAL_CONCURRENCY="2")
    started = re.compile(rf"{long}\]: slow started in (\d+)")
    wait_until(lambda: len(ended(fleet)) > 10 and started.search(fleet.log()))
    os.kill(int(started.findall(fleet.log())[0]), signal.SIGKILL)
    wait_until(lambda: ended(fleet) == sent, timeout=40)
    assert f"Process of tests.slow[{long}] was lost, 1 so far" in fleet.log()


def test_a_deploy_loses_nothing_and_repeats_nothing(busy: tuple[Fleet, set[str]]) -> None:
    fleet, sent = busy
    fleet.start_with("slow", "two")
    assert fleet.stop("one") == 0
    wait_until(lambda: ended(fleet) == sent, timeout=40)
    assert fleet.log().count("slow started") == TASKS
