import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from kombu.exceptions import OperationalError

from my_celery_project.runtime.web import threads
from my_celery_project.runtime.web.service import (
    Service,
)
from my_celery_project.runtime.web.settings import (
    settings,
)
from my_celery_project.tasks import heartbeat

JSON = {"Content-Type": "application/json"}
BEAT = {"task": heartbeat.beat.name}


def check(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Make sure that an answer is a problem and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    return body


def test_what_is_no_route_and_no_method(web: httpx.Client) -> None:
    check(web.get("/nothing"), 404)
    answer = web.put("/tasks")
    check(answer, 405)
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff", b"1" * 5000])
def test_what_is_no_json_object(web: httpx.Client, body: bytes) -> None:
    answer = web.post("/tasks", content=body, headers=JSON)
    check(answer, answer.status_code)
    assert answer.status_code in {400, 422}


def test_json_that_is_nested_too_deeply(web: httpx.Client) -> None:
    depth = 200_000
    answer = web.post("/tasks", content=b"[" * depth + b"]" * depth, headers=JSON)
    assert answer.status_code in {400, 422}


def test_text_that_is_no_unicode(web: httpx.Client) -> None:
    body = b'{"task": "\\ud800", "arguments": {"\\ud800": "\\ud800"}}'
    check(web.post("/tasks", content=body, headers=JSON), 422)
    body = b'{"task": "tests.needs", "arguments": {"path": "a", "\\ud800": NaN}}'
    check(web.post("/tasks", content=body, headers=JSON), 422)


def test_a_large_body_is_refused(web: httpx.Client) -> None:
    large = b" " * (settings().web_max_body_bytes + 1)
    check(web.post("/tasks", content=large, headers=JSON), 413)


def test_a_large_body_in_pieces_is_refused(web: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(settings().web_max_body_bytes // 10_000 + 1):
            yield b" " * 10_000

    check(web.post("/tasks", content=pieces(), headers=JSON), 413)


@pytest.mark.parametrize("error", [OperationalError("down"), ConnectionRefusedError("down")])
def test_an_outage_is_a_503(
    web: httpx.Client, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*_: object) -> str:
        raise error

    monkeypatch.setattr(Service, "send", send)
    answer = web.post("/tasks", json=BEAT)
    check(answer, 503)
    assert answer.headers["Retry-After"]
    assert "down" not in answer.text


def test_an_error_of_ours_is_a_500_that_tells_nothing(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*_: object) -> str:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Service, "send", send)
    answer = web.post("/tasks", json=BEAT)
    assert "secret" not in check(answer, 500)["detail"]


def test_a_server_that_says_nothing_is_a_503_in_time(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(Service, "send", lambda *_: str(answered.wait(30)))
    monkeypatch.setattr(threads, "DEADLINE", 0.2)
    answer = web.post("/tasks", json=BEAT)
    answered.set()
    assert "may or may not" in check(answer, 503)["detail"]


def test_requests_that_wait_for_a_thread_are_not_done_later(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, sent = threading.Event(), threading.Event()
    calls = [threads.start(answered.wait, 30) for _ in range(settings().web_threads)]
    monkeypatch.setattr(Service, "send", lambda *_: sent.set())
    monkeypatch.setattr(threads, "DEADLINE", 0.2)
    answer = web.post("/tasks", json=BEAT)
    answered.set()
    assert "was not started" in check(answer, 503)["detail"]
    assert all(call.result(10) for call in calls)
    assert not sent.is_set()
