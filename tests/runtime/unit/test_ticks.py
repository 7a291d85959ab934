"""How beat gives signs of life, and how a signal ends it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.apps import beat as beat_command
from celery.beat import PersistentScheduler, Scheduler
from celery.schedules import schedule
from celery.signals import before_task_publish
from celery.utils.imports import qualname, symbol_by_name

from my_celery_project.celery import app
from my_celery_project.runtime.beat import ticks
from my_celery_project.runtime.letters.letter import (
    PERIODIC_HEADER,
)
from my_celery_project.runtime.worker import liveness


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put the handlers of signals back that beat sets."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.alarm(0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def beat(monkeypatch: pytest.MonkeyPatch, handlers: None) -> Iterator[Callable[..., list[str]]]:
    """Return a function that runs a beat with such a tick, and tells what its scheduler did.

    It also takes what to call when beat has slept.
    """

    def run(tick: Callable[[], float], wake: Callable[[], object] = object) -> list[str]:
        events: list[str] = []

        class Recorder(Scheduler):
            def tick(self, *_: object, **__: object) -> float:
                events.append("tick")
                wait = tick()
                events.append("ticked")
                return wait

            def setup_schedule(self) -> None:
                """Leave it empty."""

            def should_sync(self) -> bool:
                wake()
                return False

            def close(self) -> None:
                events.append("close")

        monkeypatch.setitem(app.conf, "beat_enable_remote_control", False)
        ticks.Service(app, scheduler_cls=Recorder).start()
        return events

    yield run
    before_task_publish.disconnect(ticks.mark)


def test_what_beat_sends_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before_task_publish, "receivers", [])
    scheduler = Scheduler(app, lazy=True)
    entry = scheduler.Entry(app=app, name="x", task="heartbeat.beat", schedule=schedule(60))

    def headers() -> dict[str, Any]:
        scheduler.apply_async(entry, advance=False)
        with app.connection_for_write() as connection:
            message = app.amqp.queues["default"](connection).get(no_ack=True)
        assert message
        return dict(message.headers)

    assert PERIODIC_HEADER not in headers()
    ticks.prepare(ticks.Service(app))
    assert PERIODIC_HEADER in headers()


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_in_the_middle_of_a_send_ends_beat_after_it(
    beat: Callable[[Callable[[], float]], list[str]],
) -> None:
    def tick() -> float:
        terminate()
        return 60

    assert beat(tick) == ["tick", "ticked", "close"]


def test_a_second_signal_ends_beat_at_once(
    beat: Callable[[Callable[[], float]], list[str]],
) -> None:
    def tick() -> float:
        terminate()
        terminate()
        return 60

    assert beat(tick) == ["tick", "close"]


def test_a_send_that_does_not_end_is_left(
    beat: Callable[[Callable[[], float]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "GRACE", 1)

    def tick() -> float:
        terminate()
        time.sleep(60)
        return 60

    assert beat(tick) == ["tick", "close"]


def test_a_signal_ends_a_beat_that_sleeps(
    beat: Callable[[Callable[[], float]], list[str]],
) -> None:
    def tick() -> float:
        signal.alarm(1)
        return 60

    assert beat(tick) == ["tick", "ticked", "close"]


@pytest.mark.usefixtures("handlers")
def test_a_signal_ends_a_beat_that_is_starting() -> None:
    made = []

    class Slow(Scheduler):
        def setup_schedule(self) -> None:
            made.append(self)
            terminate()

    service = ticks.Service(app, scheduler_cls=Slow)
    ticks.Beat(app=app).install_sync_handler(service)
    with pytest.raises(SystemExit):
        service.start()
    assert len(made) == 1


class Swallowing:
    """Something that ends with a signal whose handler raises, which Python ignores there."""

    def __del__(self) -> None:
        terminate()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("handlers")
def test_a_beat_that_is_starting_ends_although_its_exit_was_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ticks, "GRACE", 1)
    ignored = []

    class Slow(Scheduler):
        def setup_schedule(self) -> None:
            Swallowing()
            ignored.append(self)
            time.sleep(60)

    service = ticks.Service(app, scheduler_cls=Slow)
    ticks.Beat(app=app).install_sync_handler(service)
    with pytest.raises(SystemExit):
        service.start()
    assert len(ignored) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_beat_that_sleeps_ends_although_its_exit_was_ignored(
    beat: Callable[..., list[str]],
) -> None:
    assert beat(lambda: 0.001, Swallowing) == ["tick", "ticked", "close"]


@pytest.mark.usefixtures("handlers")
def test_no_alarm_kills_a_beat_that_is_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beat_command.Beat, "start_scheduler", lambda _: ticks.leave())
    with pytest.raises(SystemExit):
        ticks.Beat(app=app).start_scheduler()
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN


def test_each_tick_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heartbeat = tmp_path / "heartbeat"
    service = ticks.Service(app, max_interval=60, scheduler_cls=Scheduler)
    monkeypatch.delenv("HEARTBEAT_PATH", raising=False)
    assert service.get_scheduler().max_interval == 60
    monkeypatch.setenv("HEARTBEAT_PATH", str(heartbeat))
    assert service.get_scheduler().tick() <= liveness.INTERVAL
    assert heartbeat.exists()


def test_a_scheduler_of_the_command_line_is_stoppable_under_its_own_name(
    empty_folder: None,
) -> None:
    assert issubclass(app.Beat, ticks.Beat)
    assert app.Beat.Service is ticks.Service
    name: Any = "celery.beat:PersistentScheduler"
    scheduler: Any = ticks.Service(app, scheduler_cls=name).scheduler
    assert isinstance(scheduler, ticks.Stoppable)
    assert isinstance(scheduler, PersistentScheduler)
    assert qualname(scheduler) == "celery.beat.PersistentScheduler"
    scheduler.close()


def test_the_scheduler_of_the_settings_is_stoppable() -> None:
    """Also where Celery's own loop runs it, as in a worker with the option --beat."""
    assert issubclass(symbol_by_name(app.conf.beat_scheduler), ticks.Stoppable)
