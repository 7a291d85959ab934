import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from my_celery_project.celery import app
from my_celery_project.runtime.fastapi import results as routes
from my_celery_project.runtime.tasks import progress
from my_celery_project.runtime.web.catalogue import (
    NoArguments,
)
from my_celery_project.runtime.web.results import (
    FollowedService,
)
from my_celery_project.web import catalog

GO_ON = threading.Event()
ROUTES = routes.__name__


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
    monkeypatch.setattr(f"{ROUTES}.LOOK", 0.02)
    GO_ON.clear()
    path = web.post("/tasks", json={"task": steps.name}).headers["Location"]
    eventually(lambda: web.get(path).json()["progress"])
    yield f"{path}/events"
    GO_ON.set()


def read(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield names and data of events; a sign of life has the name of its comment."""
    name = ""
    for line in response.iter_lines():
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)
        elif line:
            yield value, {}


def test_progress_arrives_as_events_until_the_end(web: httpx.Client, path: str) -> None:
    with web.stream("GET", path) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = read(response)
        name, data = next(events)
        assert (name, data["progress"]["percent"]) == ("status", 50.0)
        GO_ON.set()
        name, data = list(events)[-1]
        assert (name, data["state"]) == ("end", "SUCCESS")


def test_a_quiet_stream_gives_signs_of_life_and_ends(
    web: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{ROUTES}.SIGN_OF_LIFE", 0.1)
    monkeypatch.setattr(f"{ROUTES}.LONGEST_STREAM", 0.5)
    with web.stream("GET", path) as response:
        names = [name for name, _ in read(response)]
    assert names[:2] == ["status", "still here"]


def test_an_outage_ends_a_stream(
    web: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web.stream("GET", path) as response:
        events = read(response)
        next(events)

        def away(*_: object) -> None:
            raise ConnectionError

        monkeypatch.setattr(FollowedService, "status", away)
        assert [(name, data["status"]) for name, data in events] == [("problem", 503)]


def test_nothing_is_streamed_of_an_unknown_task(web: httpx.Client) -> None:
    assert web.get(f"/tasks/{uuid4()}/events").status_code == 404
