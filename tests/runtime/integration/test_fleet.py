"""The workers of the Procfile on a real broker.

TEST_BROKER_URL names one, which the tests empty; without it they start their own.
"""

import time

import pytest

from my_celery_project.queues import Priority, QueueName, to
from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration


def beat(fleet: Fleet, queue: QueueName, priority: Priority = Priority.NORMAL) -> str:
    """Queue a heartbeat and return its id."""
    return fleet.send("heartbeat.beat", **to(queue, priority))


@pytest.fixture
def several(fleet: Fleet) -> Fleet:
    """Return a fleet whose workers keep their leases while they work."""
    if fleet.pool == "solo":
        pytest.skip("a solo worker renews no lease while it works")
    return fleet


def test_urgent_work_overtakes_a_backlog(fleet: Fleet) -> None:
    backlog = 600  # half a minute
    for _ in range(backlog):
        fleet.send("tests.slow", 0.05, **to(QueueName.BULK))
    names = {fleet.consumer("critical"), fleet.consumer("bulk")}
    fleet.start_with("slow", *names, GENERAL_CONCURRENCY="1")
    wait_until(lambda: "slow started" in fleet.log())
    urgent = beat(fleet, QueueName.CRITICAL, Priority.HIGH)
    wait_until(lambda: f"[{urgent}] succeeded" in fleet.log())
    assert fleet.log().count("slow started") < backlog / 2


def test_a_countdown_reaches_a_queue_that_no_worker_has_used_yet(fleet: Fleet) -> None:
    task_id = fleet.send("heartbeat.beat", countdown=0.5, **to(QueueName.IO))
    time.sleep(2)
    fleet.start("io")
    wait_until(lambda: f"[{task_id}] succeeded" in fleet.log())


def test_a_high_priority_overtakes_in_its_queue(fleet: Fleet) -> None:
    if fleet.app.broker.name == "RabbitMQ":
        with fleet.app.connection_for_read() as connection:
            version = connection.connection.server_properties["version"]
        if version.startswith("3."):
            pytest.skip(f"RabbitMQ {version} has no priorities in quorum queues")
    low = [beat(fleet, QueueName.DEFAULT, Priority.LOW) for _ in range(100)]
    high = beat(fleet, QueueName.DEFAULT, Priority.HIGH)
    fleet.start("general", GENERAL_CONCURRENCY="1", CELERY_WORKER_LOGLEVEL="DEBUG")
    wait_until(lambda: len(fleet.received("heartbeat.beat", "general")) == len(low) + 1)
    assert fleet.received("heartbeat.beat", "general")[0] == high


def test_a_task_and_an_eta_longer_than_the_lease_run_once(several: Fleet) -> None:
    several.start_with("slow", "one", "two")
    several.send("tests.slow", 3 * several.lease)
    several.send("tests.slow", 0, countdown=3 * several.lease)
    wait_until(lambda: several.log().count("slow ended") == 2)
    time.sleep(several.lease)
    assert several.log().count("slow started") == 2


def test_a_stopping_worker_keeps_its_task(several: Fleet) -> None:
    several.start_with("slow", "one", "two")
    several.send("tests.slow", 3 * several.lease)
    wait_until(lambda: "slow started" in several.log())
    holder, other = ("one", "two") if "slow started" in several.log("one") else ("two", "one")
    assert several.stop(holder) == 0
    assert "slow ended" in several.log(holder)
    assert "slow started" not in several.log(other)


def test_the_task_of_a_killed_worker_runs_elsewhere(several: Fleet) -> None:
    several.start_with("slow", "one")
    several.send("tests.slow", 120)
    wait_until(lambda: "slow started" in several.log("one"))
    several.start_with("slow", "two")
    several.kill("one")
    wait_until(lambda: "slow started" in several.log("two"), timeout=several.lease + 12)
