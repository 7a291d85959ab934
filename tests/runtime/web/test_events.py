import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from my_celery_project.celery import app
from my_celery_project.runtime.tasks import progress
from my_celery_project.runtime.web import events, testing
from my_celery_project.runtime.web.catalogue import (
    NoArguments,
)
from my_celery_project.runtime.web.results import (
    FollowedService,
)
from my_celery_project.web import catalog

GO_ON = threading.Event()


@app.task(base=progress.ProgressTask, bind=True, name="tests.steps")
def steps(self: progress.ProgressTask) -> None:
    """Go half of the way, and wait."""
    self.progress(1, 2)
    GO_ON.wait(20)


@pytest.fixture(autouse=True)
def path(
    web: httpx.Client,
    worker: None,
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Yield the path of the events of a task that runs until `GO_ON`."""
    monkeypatch.setitem(catalog.ALLOWED, steps.name, NoArguments)
    monkeypatch.setattr(events, "LOOK", 0.02)
    GO_ON.clear()
    path = web.post("/tasks", json={"task": steps.name}).headers["Location"]
    eventually(lambda: web.get(path).json()["progress"])
    yield f"{path}/events"
    GO_ON.set()


class Event(NamedTuple):
    """An event; a sign of life has the name of its comment."""

    name: str
    data: dict[str, Any]
    id: str = ""


def read(response: httpx.Response) -> Iterator[Event]:
    """Yield the events of a stream, after its first line."""
    fields: dict[str, str] = {}
    lines = response.iter_lines()
    assert next(lines) == f"retry: {events.RETRY}"
    for line in lines:
        key, _, value = line.partition(": ")
        if line and not key:
            yield Event(value, {})
        elif line:
            fields[key] = value
        elif fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
            fields = {}


def follow(web: httpx.Client, path: str, last_id: str = "") -> list[Event]:
    """Return all events of a stream."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with web.stream("GET", path, headers=headers) as response:
        return list(read(response))


def test_progress_arrives_as_events_until_the_end(web: httpx.Client, path: str) -> None:
    with web.stream("GET", path) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        stream = read(response)
        first = next(stream)
        assert (first.name, first.data["progress"]["percent"]) == ("status", 50.0)
        GO_ON.set()
        last = list(stream)[-1]
        assert (last.name, last.data["state"]) == ("end", "SUCCESS")


def test_a_quiet_stream_gives_signs_of_life_and_ends(
    web: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SIGN_OF_LIFE", 0.1)
    monkeypatch.setattr(events, "LONGEST_STREAM", 0.5)
    names = [event.name for event in follow(web, path)]
    assert names[:2] == ["status", "still here"]
    assert "end" not in names


def test_a_client_that_connects_again_hears_nothing_twice(
    web: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(events, "LONGEST_STREAM", 0.1)
        (first,) = follow(web, path)
        assert follow(web, path, first.id) == []
        assert follow(web, path, "unknown") == [first]
    GO_ON.set()
    last = follow(web, path, first.id)[-1]
    assert (last.name, last.data["state"]) == ("end", "SUCCESS")
    assert follow(web, path) == [last]
    again = web.get(path, headers={"Last-Event-ID": last.id})
    assert (again.status_code, again.content) == (204, b"")


def test_only_so_many_streams_are_open_at_once(
    web: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    monkeypatch.setattr(events, "SIGN_OF_LIFE", 0.02)

    def refused() -> bool:
        with web.stream("GET", path) as response:
            if response.status_code != 503:
                return False
            response.read()
            assert response.headers["Content-Type"] == "application/problem+json"
            assert "no more are allowed" in response.json()["detail"]
            return True

    with ExitStack() as streams:
        for _ in range(testing.MOST_STREAMS):
            streams.enter_context(web.stream("GET", path))
        assert refused()
    eventually(lambda: not refused())


def test_an_outage_ends_a_stream(
    web: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web.stream("GET", path) as response:
        stream = read(response)
        next(stream)

        def away(*_: object) -> None:
            raise ConnectionError

        monkeypatch.setattr(FollowedService, "status", away)
        assert [(name, data["status"]) for name, data, _ in stream] == [("problem", 503)]


def test_nothing_is_streamed_of_an_unknown_task(web: httpx.Client) -> None:
    assert web.get(f"/tasks/{uuid4()}/events").status_code == 404
