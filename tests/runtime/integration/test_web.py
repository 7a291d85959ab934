"""The web server of the Procfile, and workers, on a real broker."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from web_server import open_web

from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.runtime.web import testing  # noqa: F401 - what this is about

pytestmark = pytest.mark.integration

BEAT = {"task": "heartbeat.beat"}


@pytest.fixture
def web(fleet: Fleet) -> Iterator[httpx.Client]:
    with open_web(fleet) as client:
        yield client


def test_a_task_is_sent_and_run(web: httpx.Client, fleet: Fleet) -> None:
    task_id = web.post("/tasks", json=BEAT).json()["id"]
    fleet.start("general")
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
    oldest = queues["default"]["oldest_seconds"]
    assert oldest >= 1 if fleet.app.broker.name == "Redis" else oldest is None


def test_the_web_server_stops_when_it_is_told_to(web: httpx.Client, fleet: Fleet) -> None:
    # uvicorn ends by the signal itself once it has stopped.
    assert fleet.stop("web") in {0, -signal.SIGTERM}
