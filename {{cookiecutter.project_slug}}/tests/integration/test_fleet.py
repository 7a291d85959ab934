"""The workers of the Procfile on a real {{ cookiecutter._brokers[cookiecutter.broker].name }}.

TEST_BROKER_URL names one, which the tests empty; without it they start their own.
"""

import re
import time

import pytest
from fleet import PROCFILE, STOP_TIME, WORKERS, Fleet, with_tasks
from servers import {{ "LEASE, " if cookiecutter.pool != "solo" }}wait_until

from {{ cookiecutter.package_name }} import queues

pytestmark = pytest.mark.integration


def consumer(queue: str) -> str:
    """Return the name of a worker that consumes a queue."""
    return next(name for name in WORKERS if queue in re.split(r"[ ,]", PROCFILE[name]))


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_runs_the_tasks_of_its_queues_and_stops_cleanly(name: str, fleet: Fleet) -> None:
    fleet.start({name: PROCFILE[name]})
    words = PROCFILE[name].split()
    for queue in words[words.index("--queues") + 1].split(","):
        task_id = fleet.beat(queues.QueueName(queue))
        wait_until(lambda: f"[{task_id}] succeeded" in fleet.log())  # noqa: B023
    fleet.workers[name].terminate()
    assert fleet.workers[name].wait(STOP_TIME) == 0


def test_urgent_work_overtakes_a_backlog(fleet: Fleet) -> None:
    names = {consumer("critical"), consumer("bulk")}
    fleet.start({name: with_tasks("slow", name) for name in names}, GENERAL_CONCURRENCY="1")
    for _ in range(200):
        fleet.send("tests.slow", 0.05, **queues.to(queues.QueueName.BULK))
    wait_until(lambda: "slow started" in fleet.log())
    urgent = fleet.beat(queues.QueueName.CRITICAL, queues.Priority.HIGH)
    wait_until(lambda: f"[{urgent}] succeeded" in fleet.log())
    assert fleet.log().count("slow started") < 100


def test_a_countdown_reaches_a_queue_that_no_worker_has_used_yet(fleet: Fleet) -> None:
    task_id = fleet.send("heartbeat.beat", countdown=0.5, **queues.to(queues.QueueName.IO))
    time.sleep(2)
    fleet.start({"io": PROCFILE["io"]})
    wait_until(lambda: f"[{task_id}] succeeded" in fleet.log())


def test_a_high_priority_overtakes_in_its_queue(fleet: Fleet) -> None:
{% if cookiecutter.broker == "rabbitmq" %}
    with fleet.app.connection_for_read() as connection:
        version = connection.connection.server_properties["version"]
    if version.startswith("3."):
        pytest.skip(f"RabbitMQ {version} has no priorities in quorum queues")
{% endif %}
    low = [fleet.beat(queues.QueueName.DEFAULT, queues.Priority.LOW) for _ in range(100)]
    high = fleet.beat(queues.QueueName.DEFAULT, queues.Priority.HIGH)
    fleet.start({"general": PROCFILE["general"]}, GENERAL_CONCURRENCY="1")
    wait_until(lambda: len(fleet.received("general")) == len(low) + 1)
    assert fleet.received("general")[0] == high
{% if cookiecutter.pool != "solo" %}


def test_a_task_and_an_eta_longer_than_the_lease_run_once(fleet: Fleet) -> None:
    fleet.start_with("slow", "one", "two")
    fleet.send("tests.slow", 3 * LEASE)
    fleet.send("tests.slow", 0, countdown=3 * LEASE)
    wait_until(lambda: fleet.log().count("slow ended") == 2)
    time.sleep(LEASE)
    assert fleet.log().count("slow started") == 2


def test_a_stopping_worker_keeps_its_task(fleet: Fleet) -> None:
    fleet.start_with("slow", "one", "two")
    fleet.send("tests.slow", 3 * LEASE)
    wait_until(lambda: "slow started" in fleet.log())
    holder, other = ("one", "two") if "slow started" in fleet.log("one") else ("two", "one")
    fleet.workers[holder].terminate()
    assert fleet.workers[holder].wait(STOP_TIME) == 0
    assert "slow ended" in fleet.log(holder)
    assert "slow started" not in fleet.log(other)


def test_the_task_of_a_killed_worker_runs_elsewhere(fleet: Fleet) -> None:
    fleet.start_with("slow", "one")
    fleet.send("tests.slow", 120)
    wait_until(lambda: "slow started" in fleet.log("one"))
    fleet.start_with("slow", "two")
    fleet.kill("one")
    wait_until(lambda: "slow started" in fleet.log("two"), timeout=LEASE + 12)
{% endif %}
