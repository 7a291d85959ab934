"""`manage.py setup_schedules` writes `beat_schedule` into rows, as often as you like.

The code is one side, the admin the other. A row that nobody has edited follows the code; one that
was edited stays as it is until `--reset`. Whether a row is enabled is up to the admin alone. The
description of a row holds what the command wrote last, which shows whether it was edited since.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from celery import current_app
from django.core.management import BaseCommand
from django.db import transaction
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry

#: Begins the description of a row of this command.
MARK = "From schedule.py: "

WHEN = ("crontab", "interval", "solar", "clocked")
PLAIN = ("task", "kwargs", "queue", "expire_seconds")


def described(row: PeriodicTask) -> str:
    """Return the fields of a row that are compared, as its description."""
    when = next((getattr(row, field) for field in WHEN if getattr(row, field)), None)
    values = {field: getattr(row, field) for field in PLAIN}
    return MARK + json.dumps({**values, "when": repr(when and when.schedule)})


def write(row: PeriodicTask, entry: dict[str, Any]) -> None:
    """Copy an entry of the code to a row, without saving it."""
    row.task = entry["task"]
    row.kwargs = json.dumps(entry["kwargs"])
    row.queue = entry["options"].get("queue")
    row.expire_seconds = int(entry["options"]["expires"])
    when, kind = ModelEntry.to_model_schedule(entry["schedule"])
    for field in WHEN:
        setattr(row, field, when if field == kind else None)
    row.description = described(row)


def set_up(name: str, entry: dict[str, Any], reset: bool) -> str:
    """Bring the row of an entry up to date, and return what was done.

    Args:
        name: Name of both.
        entry: What the code says.
        reset: Whether an edit is undone.
    """
    row = PeriodicTask.objects.filter(name=name).first()
    if row is None:
        row, done = PeriodicTask(name=name), "added"
    else:
        before, was_written = described(row), row.description
        if before != was_written and not reset:
            return "kept as edited"
        done = "updated"
    write(row, entry)
    if done == "updated" and row.description == before:
        return "unchanged"
    row.save()
    return done


class Command(BaseCommand):
    """Make rows for the schedule of the code."""

    help = "Make rows of the schedule in the code; run it at every deployment."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the option."""
        parser.add_argument("--reset", action="store_true", help="also undo what was edited")

    @transaction.atomic
    def handle(self, *, reset: bool = False, **options: Any) -> None:
        """Set up all entries, and delete the rows of those that have left the code."""
        schedule: dict[str, dict[str, Any]] = current_app.conf.beat_schedule
        for name, entry in schedule.items():
            self.stdout.write(f"{name}: {set_up(name, entry, reset)}")
        gone = PeriodicTask.objects.filter(description__startswith=MARK).exclude(name__in=schedule)
        for row in gone:
            row.delete()
            self.stdout.write(f"{row.name}: deleted")
