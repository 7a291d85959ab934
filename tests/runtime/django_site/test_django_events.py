"""Event streams of Django, on a server with threads and on an ASGI server."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.client import HTTPResponse
from typing import Any
from unittest.mock import patch

import api
import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import AsyncRequestFactory

from my_celery_project.celery import app
from my_celery_project.runtime.django.followed import (
    FollowedJobService,
    Settings,
)
from my_celery_project.runtime.tasks.progress import ProgressTask
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.runtime.web import events
from my_celery_project.runtime.web.catalogue import NoArguments
from my_celery_project.site import asgi, catalog

GO_ON = threading.Event()


@app.task(base=ProgressTask, bind=True, name="tests.steps")
def steps(self: ProgressTask) -> None:
    """Go half of the way, and wait."""
    self.progress(1, 2)
    GO_ON.wait(20)


def told(answer: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events of a stream, with the id of each in its data."""
    fields: dict[str, str] = {}
    for line in answer:
        key, _, value = line.decode().strip().partition(": ")
        fields[key] = value
        if not key and "data" in fields:
            yield fields["event"], {**json.loads(fields["data"]), "of": fields.get("id")}
            fields = {}


@pytest.mark.usefixtures("worker")
class TestEvents(api.Api):
    def setUp(self) -> None:
        """Start a task that runs until `GO_ON`, and look at it often."""
        GO_ON.clear()
        self.addCleanup(GO_ON.set)
        for name, value in {"LOOK": 0.02, "SIGN_OF_LIFE": 0.02}.items():
            fast = patch.object(events, name, value)
            fast.start()
            self.addCleanup(fast.stop)
        with patch.dict(catalog.ALLOWED, {steps.name: NoArguments}):
            place = self.call("POST", "/tasks", {"task": steps.name})[2]["Location"]
        wait_until(lambda: self.call("GET", place)[1]["progress"])
        self.place = f"{place}/events"

    def is_refused(self) -> bool:
        """Return whether one stream more is refused."""
        with self.opened(self.place) as answer:
            if answer.status == 200:
                return False
            problem = json.loads(answer.read())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "no more are allowed" in problem["detail"]
        return True

    def test_progress_arrives_as_events_until_the_end(self) -> None:
        with self.opened(self.place) as answer:
            assert answer.headers["Content-Type"] == events.MEDIA_TYPE
            assert answer.headers["Cache-Control"] == "no-store"
            stream = told(answer)
            name, first = next(stream)
            assert (name, first["progress"]["percent"]) == ("status", 50.0)
            GO_ON.set()
            name, last = list(stream)[-1]
            assert (name, last["state"]) == ("end", "SUCCESS")
        with self.opened(self.place, **{"Last-Event-ID": last["of"]}) as answer:
            assert (answer.status, answer.read()) == (204, b"")

    def test_a_stream_that_its_client_has_left_does_not_count(self) -> None:
        with ExitStack() as streams:
            for _ in range(Settings().app_web_streams):
                streams.enter_context(self.opened(self.place))
            assert self.is_refused()
        wait_until(lambda: not self.is_refused())

    def test_a_head_does_not_wait(self) -> None:
        for _ in range(Settings().app_web_streams + 1):
            status, body, headers = self.call("HEAD", self.place)
            assert (status, body) == (200, {})
            assert headers["Content-Type"] == events.MEDIA_TYPE
        assert self.call("GET", self.place.rpartition("/")[0])[1]["ended"] is False

    def test_a_database_that_is_away_ends_a_stream(self) -> None:
        with self.opened(self.place) as answer:
            stream = told(answer)
            next(stream)
            with patch.object(FollowedJobService, "status", side_effect=OperationalError("away")):
                ((name, problem),) = stream
        assert (name, problem["status"]) == ("problem", 503)
        assert problem["detail"] == "the database does not answer: try again later"

    def test_an_asgi_server_gets_each_event_at_once(self) -> None:
        scope = AsyncRequestFactory().get(self.place).scope
        scope["headers"].append((b"authorization", f"Bearer {settings.API_TOKEN}".encode()))

        async def follow() -> list[bytes]:
            asked, sent = asyncio.Queue[Any](), list[bytes]()
            asked.put_nowait({"type": "http.request"})  # and nobody disconnects

            async def send(message: Mapping[str, Any]) -> None:
                sent.append(message.get("body", b""))
                if b"event: status" in sent[-1]:
                    GO_ON.set()  # the task ends only after this has arrived

            await asyncio.wait_for(asgi.application(dict(scope), asked.get, send), 20)
            return sent

        received = b"".join(asyncio.run(follow()))
        assert b'"SUCCESS"' in received
        assert received.startswith(b"retry: ")
