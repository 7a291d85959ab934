import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from celery.signals import task_revoked

from my_celery_project.celery import app
from my_celery_project.runtime.tasks import progress
from my_celery_project.runtime.web.catalogue import (
    NoArguments,
)
from my_celery_project.web import catalog

GO_ON = threading.Event()


@app.task(base=progress.ProgressTask, bind=True, name="tests.half")
def half(self: progress.ProgressTask) -> float:
    """Go half of the way, and wait."""
    self.progress(1, 2, "half way")
    GO_ON.wait(20)
    return float("nan")


@pytest.fixture
def running(
    web: httpx.Client,
    worker: None,
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Yield the path of a task that runs until `GO_ON`."""
    monkeypatch.setitem(catalog.ALLOWED, half.name, NoArguments)
    GO_ON.clear()
    path = web.post("/tasks", json={"task": half.name}).headers["Location"]
    eventually(lambda: web.get(path).json()["progress"])
    yield path
    GO_ON.set()


def test_progress_and_result_are_read(
    web: httpx.Client, running: str, eventually: Callable[..., Any]
) -> None:
    status = web.get(running).json()
    assert (status["state"], status["ended"]) == ("PROGRESS", False)
    assert status["progress"] == {"current": 1, "total": 2, "percent": 50.0, "message": "half way"}
    early = web.get(f"{running}/result")
    assert (early.status_code, "ask again" in early.json()["detail"]) == (409, True)
    GO_ON.set()
    eventually(lambda: web.get(running).json()["ended"])
    assert web.get(running).json()["state"] == "SUCCESS"
    assert web.get(f"{running}/result").json()["result"] == "NaN"


def test_a_failure_is_told(web: httpx.Client, worker: None, eventually: Callable[..., Any]) -> None:
    body = {"task": "tests.needs", "arguments": {"path": "nothing"}}
    path = web.post("/tasks", json=body).headers["Location"]
    eventually(lambda: web.get(path).json()["ended"])
    status = web.get(path).json()
    assert status["state"] == "FAILURE"
    assert status["failure"] == {"error": "PermanentError", "message": "no nothing"}
    answer = web.get(f"{path}/result")
    assert (answer.status_code, "will never have one" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("suffix", ["", "/result"])
def test_an_id_that_never_existed_is_not_one_that_waits(web: httpx.Client, suffix: str) -> None:
    assert web.get(f"/tasks/{uuid4()}{suffix}").status_code == 404
    waiting = web.post("/tasks", json={"task": "heartbeat.beat", "countdown": 1}).json()["id"]
    assert web.get(f"/tasks/{waiting}").json()["state"] == "SENT"


@pytest.mark.parametrize("task_id", ["7", "A" * 36, "..", f"{uuid4()}x"])
def test_a_malformed_id_is_refused(web: httpx.Client, task_id: str) -> None:
    for answer in (web.get(f"/tasks/{task_id}/result"), web.delete(f"/tasks/{task_id}")):
        assert answer.status_code in {404, 405, 422}
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_task_that_waits_is_cancelled(
    web: httpx.Client, worker: None, eventually: Callable[..., Any]
) -> None:
    revoked: list[str] = []

    def note(request: Any, **_: Any) -> None:
        revoked.append(request.id)

    task_revoked.connect(note)
    body = {"task": "tests.needs", "arguments": {"path": "nothing"}, "countdown": 0.5}
    path = web.post("/tasks", json=body).headers["Location"]
    for _ in range(2):
        answer = web.delete(path)
        assert (answer.status_code, answer.json()["state"]) == (200, "REVOKED")
    task_id = path.rpartition("/")[2]
    eventually(lambda: task_id in revoked)
    assert web.get(path).json()["state"] == "REVOKED"


def test_a_task_that_runs_is_not_cancelled_where_the_pool_cannot(
    web: httpx.Client, running: str, eventually: Callable[..., Any]
) -> None:
    answer = web.delete(running)
    assert (answer.status_code, "thread" in answer.json()["detail"]) == (409, True)
    GO_ON.set()
    eventually(lambda: web.get(running).json()["state"] == "SUCCESS")


def test_a_task_that_has_ended_is_not_cancelled(
    web: httpx.Client, worker: None, eventually: Callable[..., Any]
) -> None:
    path = web.post("/tasks", json={"task": "heartbeat.beat"}).headers["Location"]
    eventually(lambda: web.get(path).json()["ended"])
    answer = web.delete(path)
    assert (answer.status_code, "SUCCESS" in answer.json()["detail"]) == (409, True)
    assert web.delete(f"/tasks/{uuid4()}").status_code == 404
