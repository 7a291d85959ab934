"""The events by which a client follows a task: https://html.spec.whatwg.org/#server-sent-events.

A stream begins with the state of the task, and has an event `status` for every change of it, until
the event `end`, or `problem`. The id of an event is that of the state in it. So a client that
connects again, with `Last-Event-ID`, hears nothing twice: the stream goes on with the next change,
and if the client knows the end already, the answer is 204, after which browsers stop connecting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import Lock

from .answers import of_problem, to_json
from .bodies import Status
from .problems import Problem, away
from .stopping import Stopping

MEDIA_TYPE = "text/event-stream"

#: Proxies must neither store a stream nor collect it before they pass it on.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

#: Seconds between two looks at a task, until a quiet stream gives a sign of life, which also shows
#: whether its client is still there, and until a stream ends and its client has to connect again.
LOOK, SIGN_OF_LIFE, LONGEST_STREAM = 0.5, 5.0, 600.0

#: Milliseconds after which a browser connects again.
RETRY = 2000


class Events:
    """The events of one stream, as text.

    Args:
        last_id: The id of the last event that the client has received, on another stream.
    """

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        self.is_over = False
        self._began = self._spoke = time.monotonic()

    def begin(self) -> str:
        """Return the text with which the stream begins."""
        return f"retry: {RETRY}\n\n"

    def of_status(self, status: Status) -> str:
        """Return the text to send after a look at the task, which may be empty."""
        text, now = "", time.monotonic()
        event_id = id_of(status)
        if status.ended or event_id != self.last_id:
            name = "end" if status.ended else "status"
            text = f"event: {name}\nid: {event_id}\ndata: {to_json(status)}\n\n"
        elif now - self._spoke >= SIGN_OF_LIFE:
            text = ": still here\n\n"
        if text:
            self.last_id, self._spoke = event_id, now
        self.is_over = status.ended or now - self._began >= LONGEST_STREAM or Stopping.is_told()
        return text

    def of_problem(self, problem: Problem) -> str:
        """Return the text for a look that failed, which ends the stream."""
        self.is_over = True
        return f"event: problem\ndata: {of_problem(problem).text}\n\n"


def id_of(status: Status) -> str:
    """Return the id of the event with a status."""
    return sha256(to_json(status).encode()).hexdigest()[:16]


def knows_the_end(status: Status, last_id: str | None) -> bool:
    """Whether a task has ended and a client that connects again has already been told so."""
    return status.ended and last_id == id_of(status)


class Streams:
    """The open streams of a process, of which there may be only so many.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0
        self._lock = Lock()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Count a stream for as long as this block runs.

        Raises:
            Problem: There are too many.
        """
        with self._lock:
            if self.open >= self.most:
                raise away(f"{self.most} event streams are open, and no more are allowed")
            self.open += 1
        try:
            yield
        finally:
            with self._lock:
                self.open -= 1


def stream(
    streams: Streams, look: Callable[[], Status], first: Status, last_id: str | None
) -> Iterator[str]:
    """Return the events of a task, for a thread that may wait.

    The stream counts as open from now on, until it has ended, or is closed or forgotten.

    Args:
        streams: The open streams of this process.
        look: Returns the status of the task, or raises a problem.
        first: Its status now.
        last_id: The id of the last event that the client has received, on another stream.

    Raises:
        Problem: There are too many.
    """
    content = counted(streams, changes(look, first, Events(last_id)))
    next(content)  # to close a generator that has not begun would not end its `with`
    return content


def counted(streams: Streams, content: Iterator[str]) -> Generator[str]:
    """Yield nothing, and then the content, while this counts as an open stream."""
    with streams.entered():
        yield ""
        yield from content


def changes(look: Callable[[], Status], status: Status, told: Events) -> Iterator[str]:
    """Yield the events of a task."""
    yield told.begin()
    while True:
        if text := told.of_status(status):
            yield text
        if told.is_over:
            return
        time.sleep(LOOK)
        try:
            status = look()
        except Problem as problem:
            yield told.of_problem(problem)
            return
