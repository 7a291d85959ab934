"""The web server of the Procfile, and workers, on a real {{ cookiecutter._brokers[cookiecutter.broker].name }}."""

from __future__ import annotations

{% if cookiecutter.__results %}
import re
{% endif %}
import signal
import time
from collections.abc import Iterator
{% if cookiecutter.__results %}
from uuid import uuid4
{% endif %}

import httpx
import pytest
from fleet import PROCFILE, STOP_TIME, Fleet
from servers import free_port, wait_until

{% if cookiecutter.__results %}
from {{ cookiecutter.package_name }}.runtime.tasks import followed

{% endif %}
pytestmark = pytest.mark.integration

ADMIN = "administrator-" * 3
BEAT = {"task": "heartbeat.beat"}


@pytest.fixture
def web(fleet: Fleet) -> Iterator[httpx.Client]:
    """Yield a client of the web server, which is an administrator."""
    port = free_port()
    fleet.start({"web": PROCFILE["web"]}, WEB_PORT=str(port), APP_ADMIN_TOKEN=ADMIN)
    headers = {"Authorization": f"Bearer {ADMIN}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client


def test_a_task_is_sent_and_run(web: httpx.Client, fleet: Fleet) -> None:
    task_id = web.post("/tasks", json=BEAT).json()["id"]
    fleet.start({"general": PROCFILE["general"]})
    wait_until(lambda: f"[{task_id}] succeeded" in fleet.log("general"))
    wait_until(lambda: web.get("/health/celery").status_code == 200)
    (worker,) = web.get("/admin/workers").json()["workers"]
    assert worker["name"].startswith("general@")
    assert "default" in worker["queues"]


def test_queues_tell_how_much_waits(web: httpx.Client, fleet: Fleet) -> None:
    web.post("/tasks/bulk", json={"tasks": [BEAT] * 3})
    time.sleep(2)
    queues = {queue["name"]: queue for queue in web.get("/admin/queues").json()["queues"]}
    assert [queue["messages"] for queue in queues.values()].count(0) == len(queues) - 1
    assert queues["default"]["messages"] == 3
{% if cookiecutter.broker == "redis" %}
    assert 1 <= queues["default"]["oldest_seconds"] < 20
{% else %}
    assert queues["default"]["oldest_seconds"] is None
{% endif %}


def test_the_web_server_stops_when_it_is_told_to(web: httpx.Client, fleet: Fleet) -> None:
    fleet.workers["web"].terminate()
    # uvicorn ends by the signal itself once it has stopped.
    assert fleet.workers["web"].wait(STOP_TIME) in {0, -signal.SIGTERM}
{% if cookiecutter.__results %}


def test_what_was_cancelled_while_no_worker_ran_never_starts(
    web: httpx.Client, fleet: Fleet
) -> None:
    path = web.post("/tasks", json=BEAT).headers["Location"]
    assert web.get(path).json()["state"] == "SENT"
    assert web.delete(path).json()["state"] == "REVOKED"
    fleet.start({"general": PROCFILE["general"]})
    wait_until(lambda: "was cancelled before it started" in fleet.log("general"))
    assert web.get(path).json()["state"] == "REVOKED"


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # by Celery
def test_what_runs_is_ended_where_its_pool_can(web: httpx.Client, fleet: Fleet) -> None:
    fleet.start_with("slow", "general")
    task_id = str(uuid4())
    with followed.noted(fleet.app, task_id):
        fleet.app.send_task(
            "tests.slow",
            [15],
            task_id=task_id,
            headers={followed.FOLLOWED_HEADER: "yes"},
            ignore_result=False,
        )
    wait_until(lambda: "slow started" in fleet.log("general"))
    answer = web.delete(f"/tasks/{task_id}")
    pools = re.findall(r"--pool \$\{GENERAL_POOL:-(\w+)\}", PROCFILE["general"])
    if pools[0] in followed.CAN_END:
        assert (answer.status_code, answer.json()["state"]) == (200, "REVOKED")
    else:
        assert answer.status_code == 409
        wait_until(lambda: web.get(f"/tasks/{task_id}").json()["state"] == "SUCCESS")
    beat = web.post("/tasks", json=BEAT).headers["Location"]
    wait_until(lambda: web.get(beat).json()["state"] == "SUCCESS")
    assert ("slow ended" in fleet.log("general")) == (answer.status_code == 409)
    assert web.get("/admin/dead-letters", params={"task": "tests.slow"}).json()["letters"] == []
{% endif %}
