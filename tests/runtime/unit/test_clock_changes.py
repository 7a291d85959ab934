"""When schedules run: at sunset, and when clocks change."""

import time
from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import beat
from celery.schedules import BaseSchedule, crontab, solar

from my_celery_project.celery import app
from my_celery_project.runtime.beat import part  # noqa: F401 - what this is about


def runs(when: BaseSchedule, start: datetime) -> Iterator[datetime]:
    """Yield the runs after a time."""
    clock: Any = copy(when)
    clock.nowfun = lambda: start
    while True:
        start += clock.remaining_estimate(start)
        yield start


def test_a_solar_entry_runs_at_the_time_of_the_event() -> None:
    sunset = runs(solar("sunset", 52.52, 13.405), datetime(2026, 6, 20, 22, tzinfo=UTC))
    assert abs(next(sunset) - datetime(2026, 6, 21, 19, 33, tzinfo=UTC)) < timedelta(minutes=2)
    assert abs(next(sunset) - datetime(2026, 6, 22, 19, 33, tzinfo=UTC)) < timedelta(minutes=2)
    # North of the polar circle the sun does not set before the end of July.
    polar = runs(solar("sunset", 69.65, 18.96), datetime(2026, 6, 21, tzinfo=UTC))
    assert next(polar).month == 7


class Clock(beat.Scheduler):
    """Celery's scheduler, which writes down what it would send."""

    def __init__(self, start: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.sent = start, list[tuple[str, datetime]]()
        monkeypatch.setattr(app, "now", lambda: self.now)
        super().__init__(app, lazy=True, max_interval=1800)
        for hour in ("*", "1", "2"):
            entry = {"task": "heartbeat.beat", "schedule": crontab(hour=hour, minute="30")}
            self.update_from_dict({hour: entry})

    def apply_async(self, entry: Any, *_: Any, **__: Any) -> None:
        self.sent.append((entry.name, self.now.replace(second=0, microsecond=0)))


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
    ],
)
def test_every_entry_runs_once_at_each_of_its_times_when_clocks_change(
    zone: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime.fromisoformat(change).replace(tzinfo=UTC) - timedelta(days=1)
    hours = [start + timedelta(hours=hour, minutes=30) for hour in range(72)]
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        scheduler = Clock(start, patch)
        while scheduler.now < hours[-1] + timedelta(minutes=29):
            scheduler.now += timedelta(seconds=max(scheduler.tick(), 0.1))
    time.tzset()
    for hour in ("*", "1", "2"):
        expected = [due for due in hours if hour in {"*", str(due.hour)}]
        assert [due for name, due in scheduler.sent if name == hour] == expected
