"""The processes of the Procfile on a real {{ cookiecutter._brokers[cookiecutter.broker].name }}.

TEST_BROKER_URL names one, which the test empties; without it one is started.
"""

import pytest

from {{ cookiecutter.package_name }} import queues
from {{ cookiecutter.package_name }}.runtime.testing.fleet import (
    Fleet,
)
from {{ cookiecutter.package_name }}.runtime.testing.servers import (
    wait_until,
)

pytestmark = pytest.mark.integration


def test_every_queue_is_worked_on_and_all_processes_stop_cleanly(fleet: Fleet) -> None:
    workers = fleet.workers
    fleet.start(*workers)
    sent = {fleet.send("heartbeat.beat", **queues.to(queue)): queue for queue in queues.QueueName}
    wait_until(lambda: set(fleet.succeeded("heartbeat.beat")) >= sent.keys())
    for task_id, queue in sent.items():
        assert f"[{task_id}] succeeded" in fleet.log(fleet.consumer(queue))
    for name in workers:
        assert fleet.stop(name) == 0
{% if cookiecutter.beat != "none" %}


def test_beat_starts_and_stops(fleet: Fleet) -> None:
    fleet.start("beat")
    assert fleet.stop("beat") == 0
{% endif %}
