"""The rows of the schedule, and a scheduler that reads them."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from celery.schedules import crontab, schedule
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from my_celery_project import schedule as code
from my_celery_project.celery import app
from my_celery_project.queues import QueueName
from my_celery_project.runtime.beat.entries import (
    entry,
)
from my_celery_project.runtime.django import (
    scheduler,
)

pytestmark = pytest.mark.django_db


def setup(*options: str) -> dict[str, str]:
    """Run the command, and return what it did to each row."""
    out = StringIO()
    call_command("setup_schedules", *options, stdout=out)
    return dict(line.split(": ") for line in out.getvalue().splitlines())


def set_interval(row: PeriodicTask, every: int) -> None:
    """Edit a row as the admin does."""
    row.crontab = None
    row.interval, _ = IntervalSchedule.objects.get_or_create(every=every, period="seconds")
    row.save()


def test_a_second_run_changes_nothing() -> None:
    assert setup() == dict.fromkeys(code.SCHEDULE, "added")
    before = list(PeriodicTask.objects.order_by("pk").values())
    assert setup() == dict.fromkeys(code.SCHEDULE, "unchanged")
    assert list(PeriodicTask.objects.order_by("pk").values()) == before


def test_beat_reads_what_the_code_says() -> None:
    setup()
    for row in PeriodicTask.objects.all():
        read, expected = scheduler.Scheduler.Entry(row, app), code.SCHEDULE[row.name]
        assert (read.task, read.kwargs) == (expected["task"], expected["kwargs"])
        for option in ("queue", "expires"):
            assert read.options.get(option) == expected["options"].get(option)
        assert read.schedule.remaining_estimate(app.now()) <= timedelta(days=1)


def test_a_row_follows_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    setup()
    PeriodicTask.objects.update(enabled=False)
    changed: dict[str, Any] = {
        "heartbeat": entry(
            "heartbeat.beat", crontab(minute="7"), timedelta(minutes=5), QueueName.BULK
        )
    }
    gone = set(code.SCHEDULE) - set(changed)
    monkeypatch.setitem(app.conf, "beat_schedule", changed)
    assert setup() == {"heartbeat": "updated"} | dict.fromkeys(gone, "deleted")
    (row,) = PeriodicTask.objects.all()
    assert (row.queue, row.interval, row.enabled) == ("bulk", None, False)
    assert str(row.crontab).startswith("7 * * * *")


def test_what_was_edited_stays_until_it_is_reset() -> None:
    setup()
    row = PeriodicTask.objects.get(name="heartbeat")
    set_interval(row, 7)
    assert setup()["heartbeat"] == "kept, because it was edited"
    row.refresh_from_db()
    assert row.interval.every == 7
    assert setup("--reset")["heartbeat"] == "updated"
    row.refresh_from_db()
    assert row.schedule == schedule(60)


def test_the_admin_edits_a_row(admin_client: Client) -> None:
    setup()
    row = PeriodicTask.objects.get(name="heartbeat")
    page = reverse("admin:django_celery_beat_periodictask_change", args=[row.pk])
    form = admin_client.get(page).context["adminform"].form
    given = {name: form.initial.get(name) for name in form.fields}
    given = {name: value for name, value in given.items() if value not in (None, "")}
    del given["enabled"]  # an empty box
    assert admin_client.post(page, given).status_code == 302
    row.refresh_from_db()
    assert (row.task, row.queue, row.enabled) == ("heartbeat.beat", None, False)
    assert setup()["heartbeat"] == "unchanged"


def test_a_row_of_somebody_else_is_left_alone() -> None:
    row = PeriodicTask(name="mine", task="heartbeat.beat")
    set_interval(row, 7)
    setup()
    assert PeriodicTask.objects.filter(name="mine").exists()


def test_beat_outlives_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    setup()
    beat = scheduler.Scheduler(app, lazy=True)
    known = beat.schedule

    def refuse(*_: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(beat, "enabled_models", refuse)
    monkeypatch.setattr(beat, "schedule_changed", lambda: True)
    assert beat.schedule == known
