"""Tasks that clients send: one, many, with a request id; and what is refused."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from my_celery_project import queues
from my_celery_project.celery import app
from my_celery_project.runtime import context
from my_celery_project.runtime.web import service
from my_celery_project.runtime.web.bodies import Submission
from my_celery_project.runtime.web.catalogue import NoArguments
from my_celery_project.runtime.web.service import Service
from my_celery_project.tasks import heartbeat
from my_celery_project.web import catalog

BEAT = {"task": heartbeat.beat.name}
SEEN: list[str | None] = []


def test_a_request_id_goes_to_the_task(
    web: httpx.Client, worker: None, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.ALLOWED, who.name, NoArguments)
    answer = web.post("/tasks", json={"task": who.name}, headers={"X-Request-ID": "order-7"})
    assert answer.headers["X-Request-ID"] == "order-7"
    assert eventually(lambda: SEEN) == ["order-7"]
    for forged in ("", "a b", "a" * 129):
        answer = web.get("/tasks", headers={"X-Request-ID": forged})
        assert context.is_valid(answer.headers["X-Request-ID"])


def test_many_tasks_are_accepted_at_once(
    web: httpx.Client,
    worker: None,
    ended: Counter[tuple[str, str]],
    eventually: Callable[..., Any],
) -> None:
    answer = web.post("/tasks/bulk", json={"tasks": [BEAT, {**BEAT, "priority": "low"}] * 10})
    assert answer.status_code == 202
    assert len({task["id"] for task in answer.json()["tasks"]}) == 20
    eventually(lambda: ended[heartbeat.beat.name, "SUCCESS"] >= 20)


def test_of_many_tasks_none_is_sent_if_one_is_wrong(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(Service, "send", lambda _, task, arguments: sent.append(task.task))
    wrong = {**BEAT, "arguments": {"x": 1}}
    answer = web.post("/tasks/bulk", json={"tasks": [BEAT, wrong]})
    assert (answer.status_code, sent) == (422, [])
    assert answer.json()["errors"][0]["field"] == "tasks.1.arguments.x"


def test_an_outage_in_the_middle_names_what_was_sent(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["7"])

    def send(*_: object) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise ConnectionError("the broker is away") from None

    monkeypatch.setattr(Service, "send", send)
    answer = web.post("/tasks/bulk", json={"tasks": [BEAT, BEAT]})
    assert (answer.status_code, answer.json()["accepted"]) == (503, ["7"])


def test_options_are_those_of_the_project() -> None:
    given = Submission(task="x", priority="low", countdown=1.5)
    expected = {"priority": queues.Priority.LOW.value, "countdown": 1.5}
    assert service.options(given, queues.Priority) == expected
    assert service.options(Submission(task="x"), queues.Priority) == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"task": "celery.backend_cleanup"}, "task"),
        ({"task": "tests.unknown"}, "task"),
        ({}, "task"),
        ({"task": "tests.needs"}, "arguments.path"),
        ({"task": "tests.needs", "arguments": {"path": 7}}, "arguments.path"),
        ({"task": "tests.needs", "arguments": {"path": "a", "x": 1}}, "arguments.x"),
        ({"task": "tests.needs", "arguments": []}, "arguments"),
        ({**BEAT, "queue": "critical"}, "queue"),
        ({**BEAT, "priority": "high"}, "priority"),
        ({**BEAT, "countdown": -1}, "countdown"),
        ({**BEAT, "countdown": 1e9}, "countdown"),
    ],
)
def test_what_is_not_valid_is_refused(web: httpx.Client, body: object, field: str) -> None:
    answer = web.post("/tasks", json=body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@app.task(name="tests.who")
def who() -> None:
    SEEN.append(context.current().correlation_id)
