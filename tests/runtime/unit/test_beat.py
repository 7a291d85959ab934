"""The scheduler of beat, on a Redis in memory that can be taken away."""

import inspect
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery.schedules import schedule
from fakeredis import FakeRedis, FakeServer
from redbeat.schedulers import REDBEAT_REDIS_KEY, RedBeatConfig

from my_celery_project import config
from my_celery_project.celery import app
from my_celery_project.queues import QueueName
from my_celery_project.runtime.beat import schedules
from my_celery_project.runtime.beat.redbeat import (
    Scheduler,
)
from my_celery_project.runtime.config import machine


class Beat(Scheduler):
    """The scheduler, which writes down what it would send."""

    def __init__(self, on_send: Callable[[], object] = list, **kwargs: Any) -> None:
        self.sent: list[str] = []
        self.on_send = on_send
        super().__init__(app, **kwargs)

    def apply_async(self, entry: Any, **_: Any) -> None:
        self.reserve(entry)
        self.sent.append(entry.name)
        self.on_send()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    server = FakeServer()
    client = FakeRedis(server=server, decode_responses=True)
    monkeypatch.setattr(app, REDBEAT_REDIS_KEY, client, raising=False)
    yield server
    client.close()


def names() -> set[str]:
    return {entry.name for entry in schedules.entries()}


def make_due(name: str) -> None:
    schedules.find(name).reschedule(app.now() - timedelta(days=2))


def test_one_beat_sends_and_another_goes_on_when_it_stops(server: FakeServer) -> None:
    first, second = Beat(), Beat()
    first.tick()
    make_due("heartbeat")
    assert second.tick() == second.max_interval
    first.tick()
    assert (first.sent, second.sent) == (["heartbeat"], [])
    first.close()
    make_due("heartbeat")
    second.tick()
    assert (first.sent, second.sent) == (["heartbeat"], ["heartbeat"])


def test_a_beat_that_lost_its_lock_sends_nothing_more(server: FakeServer) -> None:
    first, second = Beat(), Beat()
    first.tick()
    getattr(app, REDBEAT_REDIS_KEY).delete(first.lock_key)
    second.tick()
    make_due("heartbeat")
    assert first.tick() == 0
    assert first.tick() == first.max_interval
    assert first.sent == []


def test_each_entry_is_sent_under_the_lock(server: FakeServer) -> None:
    redis = getattr(app, REDBEAT_REDIS_KEY)
    # Another beat takes over while this one sends.
    beat = Beat(on_send=lambda: redis.set(beat.lock_key, "another"))
    beat.tick()
    schedules.add(
        "other",
        "heartbeat.beat",
        schedule(60),
        queue=QueueName.DEFAULT,
        expires=timedelta(seconds=1),
    )
    for name in names():
        make_due(name)
    assert beat.tick() == 0
    assert len(beat.sent) == 1


def test_beat_outlives_a_redis_that_is_away_and_forgets(server: FakeServer) -> None:
    server.connected = False
    beat = Beat()
    assert beat.tick() == beat.max_interval
    server.connected = True
    beat.tick()
    assert "heartbeat" in names()
    server.connected = False
    assert beat.tick() == beat.max_interval
    server.connected = True
    getattr(app, REDBEAT_REDIS_KEY).flushall()
    assert beat.tick() == 0
    beat.tick()
    assert "heartbeat" in names()
    server.connected = False
    beat.close()
    assert beat.lock is None


def test_an_entry_that_left_the_code_vanishes(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat = app.conf.beat_schedule["heartbeat"]
    monkeypatch.setitem(app.conf, "beat_schedule", {"old": heartbeat, "heartbeat": heartbeat})
    first = Beat()
    first.tick()
    first.close()
    assert {"old", "heartbeat"} <= names()
    monkeypatch.setitem(app.conf, "beat_schedule", {"heartbeat": heartbeat})
    Beat().tick()
    assert "old" not in names()
    assert "heartbeat" in names()


def test_a_pause_of_an_entry_of_the_code_outlasts_a_restart(server: FakeServer) -> None:
    first, second = Beat(), Beat()
    first.tick()
    schedules.pause("heartbeat")
    first.close()
    make_due("heartbeat")
    second.tick()
    second.tick()
    assert second.sent == []
    schedules.resume("heartbeat")
    make_due("heartbeat")
    second.tick()
    assert second.sent == ["heartbeat"]


def test_a_sleep_that_would_lose_the_lock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(config.ConfigurationError, match=r"longest sleep \(11 s\)"):
        Beat(max_interval=11)
    monkeypatch.setenv("APP_ENV", "development")
    monkeypatch.setenv("CELERY_REDBEAT_LOCK_TIMEOUT", "14")
    with pytest.raises(config.ConfigurationError, match=r"the lock of beat \(14 s\)"):
        config.load()


def test_schedules_need_a_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "development")
    assert machine.is_own(config.load().schedules_url)
    monkeypatch.setenv("CELERY_REDBEAT_REDIS_URL", "sentinel://127.0.0.1:26379")
    with pytest.raises(config.ConfigurationError, match="OPTIONS__MASTER_NAME is not set"):
        config.load()
    monkeypatch.setitem(app.conf, "beat_scheduler", "celery.beat:PersistentScheduler")
    with pytest.raises(schedules.ScheduleError, match="needs a Redis"):
        schedules.entries()


def test_every_setting_is_one_that_redbeat_knows() -> None:
    source = inspect.getsource(RedBeatConfig)
    known = set(re.findall(r"either_or\(\s*'(redbeat_\w+)'", source))
    ours = {name for name in config.Base.model_fields if name.startswith("redbeat_")}
    assert ours
    assert ours <= known
