from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest
from kombu import Message
from kombu.asynchronous import Hub, get_event_loop, set_event_loop
from vine import promise

from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.runtime.worker.thread import TaskPool


class Channel:
    """A channel that keeps what is acknowledged."""

    no_ack_consumers = None

    def __init__(self) -> None:
        self.acknowledged: list[str] = []

    def basic_ack(self, tag: str, multiple: bool = False) -> None:
        self.acknowledged.append(tag)


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Make an event loop that of the process; with a parameter of None, let it have none."""
    before = get_event_loop()
    hub = getattr(request, "param", Hub())
    set_event_loop(hub)
    yield hub
    set_event_loop(before)
    if hub is not None:
        hub.close()


@pytest.fixture
def stopping() -> Iterator[Callable[[], Event]]:
    """Return a function that stops a pool which waits for a task, and returns what ends the task."""
    release, pool = Event(), TaskPool(1)
    stop = Thread(target=pool.stop)

    def begin() -> Event:
        pool.start()
        pool.on_apply(lambda: release.wait(60), (), {}, lambda _: None)
        stop.start()
        return release

    yield begin
    release.set()
    stop.join()


def test_timers_go_on_while_a_pool_waits_for_its_tasks(
    loop: Any, stopping: Callable[[], Event]
) -> None:
    ticks: list[int] = []
    loop.timer.call_repeatedly(0.1, ticks.append, (1,))
    release = stopping()
    wait_until(lambda: len(ticks) > 1)
    assert not release.is_set()


def test_tasks_that_have_ended_are_acknowledged_while_others_run(
    loop: Any, stopping: Callable[[], Event]
) -> None:
    channel = Channel()
    message = Message(delivery_tag="one", channel=channel)
    release = stopping()
    loop.call_soon(promise(message.ack_log_error, (None, ())))
    wait_until(lambda: channel.acknowledged == ["one"])
    assert not release.is_set()


@pytest.mark.parametrize("loop", [None], indirect=True)
def test_a_pool_without_an_event_loop_waits_as_well(
    loop: None, stopping: Callable[[], Event]
) -> None:
    stopping().set()
