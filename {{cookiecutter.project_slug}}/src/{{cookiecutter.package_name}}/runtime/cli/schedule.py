"""The command `celery schedule`: list and change schedules while beat runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from celery.exceptions import ImproperlyConfigured
from celery.schedules import ParseException, crontab, solar
from celery.schedules import schedule as interval
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ..beat import schedules

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def duration(text: str) -> timedelta:
    """Return the duration that an option gives, in seconds or with a unit."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not match:
        raise click.BadParameter(
            f"{text!r} is not a valid duration: use one such as 90 (seconds), 90s, 5m, 2h or 1d"
        )
    return timedelta(seconds=float(match[1]) * UNITS[match[2]])


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn expected errors into one-line errors of the command."""
    from ..beat.schedules import ScheduleError

    try:
        yield
    except (ScheduleError, RedisError) as error:
        raise click.ClickException(str(error)) from None


def times(every: timedelta | None, cron: str | None, event: str | None) -> schedules.When:
    """Return the schedule that --every, --crontab or --solar describes."""
    given = [option for option in (every, cron, event) if option is not None]
    if len(given) != 1:
        raise click.UsageError("give exactly one of --every, --crontab and --solar")
    try:
        if cron is not None:
            return crontab.from_string(cron)
        if event is not None:
            kind, latitude, longitude = event.split(",")
            return solar(kind, float(latitude), float(longitude))  # type: ignore[arg-type]
    except (ParseException, ValueError, ImproperlyConfigured) as error:
        raise click.UsageError(f"{given[0]!r} is not a valid schedule: {error}") from None
    return interval(every)


@click.group()
def schedule() -> None:
    """List and change schedules while beat runs."""


@schedule.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_schedules(as_json: bool) -> None:
    """List all schedules, including those in schedule.py."""
    from ..beat.schedules import entries

    with one_line_errors():
        rows = [
            {
                "name": entry.name,
                "task": entry.task,
                "when": repr(entry.when).strip("<>"),
                "queue": entry.queue,
                "expires": entry.expires,
                "args": list(entry.args),
                "kwargs": dict(entry.kwargs),
                "next_run": entry.next_run and entry.next_run.isoformat(timespec="seconds"),
                "enabled": entry.enabled,
                "origin": "code" if entry.in_code else "run time",
            }
            for entry in entries()
        ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    shown = ("name", "task", "when", "queue", "next_run", "enabled", "origin")
    table = Table(*(name.replace("_", " ") for name in shown))
    for row in rows:
        table.add_row(*(str("" if row[name] is None else row[name]) for name in shown))
    Console(markup=False).print(table)


@schedule.command()
@click.argument("name")
@click.argument("task")
@click.option("--every", type=duration, metavar="5m", help="Time between two runs.")
@click.option("--crontab", "cron", metavar="'M H DOM MON DOW'", help="Times (UTC) as in a crontab.")
@click.option("--solar", "event", metavar="EVENT,LAT,LON", help="For example sunset,52.5,13.4.")
@click.option("--queue", required=True, help="Queue to send to.")
@click.option(
    "--expires", type=duration, metavar="5m", required=True, help="Drop messages older than this."
)
@click.option("--kwargs", default="{}", metavar="JSON", help="Keyword arguments of the task.")
def add(
    name: str,
    task: str,
    every: timedelta | None,
    cron: str | None,
    event: str | None,
    queue: str,
    expires: timedelta,
    kwargs: str,
) -> None:
    """Add a schedule called NAME that runs TASK."""
    from ..beat import schedules

    when = times(every, cron, event)
    try:
        arguments = dict(json.loads(kwargs))
    except (TypeError, ValueError):
        raise click.UsageError(
            f"--kwargs {kwargs!r} is not a JSON object: use one with the names and values"
            " of the task's arguments"
        ) from None
    with one_line_errors():
        added = schedules.add(name, task, when, queue=queue, expires=expires, kwargs=arguments)
    click.echo(f"{name} runs next at {added.next_run:%Y-%m-%d %H:%M:%S} UTC")


@schedule.command()
@click.argument("name")
def pause(name: str) -> None:
    """Pause NAME: send nothing for it until it is resumed."""
    from ..beat import schedules

    with one_line_errors():
        schedules.pause(name)


@schedule.command()
@click.argument("name")
def resume(name: str) -> None:
    """Resume NAME from its next scheduled time."""
    from ..beat import schedules

    with one_line_errors():
        schedules.resume(name)


@schedule.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete the schedule NAME."""
    from ..beat import schedules

    with one_line_errors():
        schedules.remove(name)
