"""The command `celery schedule`: see and change schedules while beat runs."""

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
    """Return a time that is given in seconds or with a unit."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not match:
        raise click.BadParameter(f"{text!r} is no time: use 90, 90s, 5m, 2h or 1d")
    return timedelta(seconds=float(match[1]) * UNITS[match[2]])


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn what may go wrong into an error of the command line."""
    from ..beat.schedules import ScheduleError

    try:
        yield
    except (ScheduleError, RedisError) as error:
        raise click.ClickException(str(error)) from None


def times(every: timedelta | None, cron: str | None, event: str | None) -> schedules.When:
    """Return the schedule that the one given option stands for."""
    given = [option for option in (every, cron, event) if option is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --every, --crontab and --solar")
    try:
        if cron is not None:
            return crontab.from_string(cron)
        if event is not None:
            kind, latitude, longitude = event.split(",")
            return solar(kind, float(latitude), float(longitude))  # type: ignore[arg-type]
    except (ParseException, ValueError, ImproperlyConfigured) as error:
        raise click.UsageError(f"{given[0]!r} is no schedule: {error}") from None
    return interval(every)


@click.group()
def schedule() -> None:
    """See and change schedules while beat runs."""


@schedule.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def list_schedules(as_json: bool) -> None:
    """Show all schedules, those of the code too."""
    from ..beat.schedules import entries

    with told_in_one_line():
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
@click.option("--crontab", "cron", metavar="'M H DOM MON DOW'", help="Times as in a crontab, UTC.")
@click.option("--solar", "event", metavar="EVENT,LAT,LON", help="Such as sunset,52.5,13.4.")
@click.option("--queue", required=True, help="Where a message waits.")
@click.option("--expires", type=duration, metavar="5m", required=True, help="Drop later messages.")
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
    """Let TASK run as NAME from now on."""
    from ..beat import schedules

    when = times(every, cron, event)
    try:
        arguments = dict(json.loads(kwargs))
    except (TypeError, ValueError):
        raise click.UsageError(f"--kwargs {kwargs!r} is no JSON object") from None
    with told_in_one_line():
        added = schedules.add(name, task, when, queue=queue, expires=expires, kwargs=arguments)
    click.echo(f"{name} runs next at {added.next_run:%Y-%m-%d %H:%M:%S} UTC")


@schedule.command()
@click.argument("name")
def pause(name: str) -> None:
    """Let nothing of NAME run until it is resumed."""
    from ..beat import schedules

    with told_in_one_line():
        schedules.pause(name)


@schedule.command()
@click.argument("name")
def resume(name: str) -> None:
    """Let NAME run again, from its next time on."""
    from ..beat import schedules

    with told_in_one_line():
        schedules.resume(name)


@schedule.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete NAME."""
    from ..beat import schedules

    with told_in_one_line():
        schedules.remove(name)
