"""Results and cancellation through the web server of the Procfile, on a real broker."""

import signal
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from web_server import open_web

from my_celery_project.runtime.tasks import followed
from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.runtime.web import testing  # noqa: F401 - what this is about

pytestmark = pytest.mark.integration

BEAT = {"task": "heartbeat.beat"}


@pytest.fixture
def web(fleet: Fleet) -> Iterator[httpx.Client]:
    with open_web(fleet) as client:
        yield client


def test_what_was_cancelled_while_no_worker_ran_never_starts(
    web: httpx.Client, fleet: Fleet
) -> None:
    path = web.post("/tasks", json=BEAT).headers["Location"]
    assert web.get(path).json()["state"] == "SENT"
    assert web.delete(path).json()["state"] == "REVOKED"
    fleet.start("general")
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
    if fleet.pool in followed.CAN_END:
        assert (answer.status_code, answer.json()["state"]) == (200, "REVOKED")
    else:
        assert answer.status_code == 409
        wait_until(lambda: web.get(f"/tasks/{task_id}").json()["state"] == "SUCCESS")
    beat = web.post("/tasks", json=BEAT).headers["Location"]
    wait_until(lambda: web.get(beat).json()["state"] == "SUCCESS")
    assert ("slow ended" in fleet.log("general")) == (answer.status_code == 409)
    assert web.get("/admin/dead-letters", params={"task": "tests.slow"}).json()["letters"] == []


def test_a_server_that_is_told_to_stop_ends_its_streams(web: httpx.Client, fleet: Fleet) -> None:
    path = web.post("/tasks", json={**BEAT, "countdown": 600}).headers["Location"]
    with web.stream("GET", f"{path}/events") as response:
        lines = response.iter_lines()
        wait_until(lambda: next(lines) == "event: status")
        assert fleet.stop("web") in {0, -signal.SIGTERM}
        # If the server had waited for the stream, it would be cut off now, which raises here.
        assert "event: end" not in list(lines)
