import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from host import KEEPS_RESULTS

from my_celery_project import queues
from my_celery_project.celery import app

GO_ON = threading.Event()
QUESTIONS = ("workers", "queues", "active", "scheduled", "registered", "dead-letters")


@app.task(name="tests.block")
def block(values: list[float]) -> None:
    GO_ON.wait(20)


@pytest.mark.parametrize("path", [*QUESTIONS, "dead-letters/7"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}, {"Authorization": ""}],
)
def test_only_administrators_may_look(
    web: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    answer = web.get(f"/admin/{path}", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_only_administrators_may_change(web: httpx.Client) -> None:
    assert web.post("/admin/dead-letters/7/replay").status_code == 401
    assert web.delete("/admin/dead-letters/7").status_code == 401


def test_the_worker_is_described(admin: httpx.Client, worker: None) -> None:
    (found,) = admin.get("/admin/workers").json()["workers"]
    assert found["pool"] == "thread"
    assert found["concurrency"] == 2
    assert set(found["queues"]) >= set(queues.QueueName)


def test_every_worker_tells_its_tasks(admin: httpx.Client, worker: None) -> None:
    (tasks,) = admin.get("/admin/registered").json()["workers"].values()
    assert "heartbeat.beat" in tasks


def test_every_queue_is_listed(admin: httpx.Client) -> None:
    listed = admin.get("/admin/queues").json()["queues"]
    assert {queue["name"] for queue in listed} == set(queues.QueueName)
    assert all(queue["messages"] >= 0 for queue in listed)


def test_what_waits_for_its_time_is_listed(
    admin: httpx.Client, worker: None, eventually: Callable[..., Any]
) -> None:
    task_id = admin.post("/tasks", json={"task": "heartbeat.beat", "countdown": 3}).json()["id"]

    def held() -> Any:
        tasks = admin.get("/admin/scheduled").json()["tasks"]
        return [task for task in tasks if task["id"] == task_id]

    (task,) = eventually(held)
    assert task["due_at"]


def test_what_runs_is_listed(
    admin: httpx.Client, worker: None, eventually: Callable[..., Any]
) -> None:
    try:
        block.delay([float("nan")])
        (task,) = eventually(lambda: admin.get("/admin/active").json()["tasks"])
    finally:
        GO_ON.set()
    assert (task["task"], task["args"]) == ("tests.block", [["NaN"]])
    assert task["started_at"]


@pytest.fixture
def letter_id(admin: httpx.Client, worker: None, eventually: Callable[..., Any]) -> str:
    """Let a task fail and return the id of its letter."""
    body = {"task": "tests.needs", "arguments": {"path": "file"}}
    task_id: str = admin.post("/tasks", json=body).json()["id"]
    eventually(lambda: admin.get(f"/admin/dead-letters/{task_id}").status_code == 200)
    return task_id


def test_a_letter_is_listed_and_shown(admin: httpx.Client, letter_id: str) -> None:
    (listed,) = admin.get("/admin/dead-letters", params={"task": "tests.*"}).json()["letters"]
    assert listed["id"] == letter_id
    assert (listed["error"], listed["replayed_as"]) == ("PermanentError", None)
    assert admin.get(f"/admin/dead-letters/{letter_id}").json()["kwargs"] == {"path": "file"}


def test_letters_are_filtered_and_paged(
    admin: httpx.Client, letter_id: str, eventually: Callable[..., Any]
) -> None:
    body = {"task": "tests.needs", "arguments": {"path": "other"}}
    admin.post("/tasks", json=body)

    def page(**params: Any) -> Any:
        return admin.get("/admin/dead-letters", params=params).json()

    eventually(lambda: len(page()["letters"]) == 2)
    first = page(limit=1)
    second = page(limit=1, offset=first["next_offset"])
    assert second["next_offset"] is None
    assert {first["letters"][0]["id"], second["letters"][0]["id"]} > {letter_id}
    assert page(error="Other*")["letters"] == []
    assert page(replayed="true")["letters"] == []
    assert page(until="2020-01-01T00:00:00Z")["letters"] == []
    for wrong in ({"limit": 0}, {"offset": -1}, {"since": "yesterday"}, {"since": "2020-01-01"}):
        assert admin.get("/admin/dead-letters", params=wrong).status_code == 422


def test_a_letter_is_replayed_once(
    admin: httpx.Client, letter_id: str, eventually: Callable[..., Any]
) -> None:
    Path("file").write_text("there", encoding="utf-8")
    answer = admin.post(f"/admin/dead-letters/{letter_id}/replay")
    assert answer.status_code == 202
    if KEEPS_RESULTS:
        result = f"/tasks/{answer.json()['id']}/result"
        eventually(lambda: admin.get(result).status_code == 200)
        assert admin.get(result).json()["result"] == "there"
    again = admin.post(f"/admin/dead-letters/{letter_id}/replay")
    assert (again.status_code, answer.json()["id"] in again.json()["detail"]) == (409, True)
    shown = admin.get(f"/admin/dead-letters/{letter_id}").json()
    assert [replay["as_id"] for replay in shown["history"]] == [answer.json()["id"]]
    (listed,) = admin.get("/admin/dead-letters").json()["letters"]
    assert listed["replayed_as"] == answer.json()["id"]


def test_a_letter_is_discarded(admin: httpx.Client, letter_id: str) -> None:
    answer = admin.delete(f"/admin/dead-letters/{letter_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    for missing in (
        admin.delete(f"/admin/dead-letters/{letter_id}"),
        admin.get(f"/admin/dead-letters/{letter_id}"),
        admin.post(f"/admin/dead-letters/{letter_id}/replay"),
    ):
        assert missing.status_code == 404
