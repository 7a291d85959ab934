"""Event streams for servers with threads: they count as open until they end, however that is."""

from collections.abc import Generator
from typing import cast

import pytest

from my_celery_project.runtime.web import events
from my_celery_project.runtime.web.bodies import Status
from my_celery_project.runtime.web.events import Streams
from my_celery_project.runtime.web.problems import Problem


def status(state: str) -> Status:
    """Return the status of a task."""
    return Status(id="7", state=state, ended=state == "SUCCESS", progress=None, failure=None)


def stream(streams: Streams) -> Generator[str]:
    """Return the stream of a task that ends at the next look."""
    content = events.stream(streams, lambda: status("SUCCESS"), status("STARTED"), None)
    return cast("Generator[str]", content)


def test_a_stream_counts_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK", 0)
    streams = Streams(1)
    content = stream(streams)
    assert streams.open == 1
    with pytest.raises(Problem, match="1 event streams are open"):
        stream(streams)
    first, changed, end = content
    assert first == f"retry: {events.RETRY}\n\n"
    assert (changed[:13], end[:10]) == ("event: status", "event: end")
    assert streams.open == 0


def test_a_stream_that_is_closed_or_forgotten_does_not_count() -> None:
    streams = Streams(1)
    stream(streams).close()  # before anything of it was sent
    assert streams.open == 0
    content = stream(streams)
    next(content)
    content.close()
    assert streams.open == 0
    content = stream(streams)
    assert streams.open == 1
    del content  # because something failed between the view and the server
    assert streams.open == 0
