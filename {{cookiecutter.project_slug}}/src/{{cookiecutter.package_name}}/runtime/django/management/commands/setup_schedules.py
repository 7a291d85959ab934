"""`manage.py setup_schedules` copies `beat_schedule` into the database; it is safe to repeat.

A row that nobody has edited in the admin follows the code; an edited row stays unchanged until
`--reset`. Only the admin decides whether a row is enabled. The description of a row records what
the command wrote last, which shows whether the row was edited since.
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

#: The beginning of the description of rows that this command wrote.
MARK = "From schedule.py: "

WHEN = ("crontab", "interval", "solar", "clocked")
PLAIN = ("task", "kwargs", "queue", "expire_seconds")


def described(row: PeriodicTask) -> str:
    """Return the description of a row: the fields that are compared."""
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
        name: The name of the entry and the row.
        entry: The entry in the code.
        reset: Whether to undo edits.
    """
    row = PeriodicTask.objects.filter(name=name).first()
    if row is None:
        row, done = PeriodicTask(name=name), "added"
    else:
        before, was_written = described(row), row.description
        if before != was_written and not reset:
            return "kept, because it was edited"
        done = "updated"
    write(row, entry)
    if done == "updated" and row.description == before:
        return "unchanged"
    row.save()
    return done


class Command(BaseCommand):
    """Write the schedule in the code into the database."""

    help = "Write the schedule in the code into the database; run it at every deployment."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the option `--reset`."""
        parser.add_argument("--reset", action="store_true", help="undo edits made in the admin")

    @transaction.atomic
    def handle(self, *, reset: bool = False, **options: Any) -> None:
        """Write all entries, and delete the rows of entries that are no longer in the code."""
        schedule: dict[str, dict[str, Any]] = current_app.conf.beat_schedule
        for name, entry in schedule.items():
            self.stdout.write(f"{name}: {set_up(name, entry, reset)}")
        gone = PeriodicTask.objects.filter(description__startswith=MARK).exclude(name__in=schedule)
        for row in gone:
            row.delete()
            self.stdout.write(f"{row.name}: deleted")
