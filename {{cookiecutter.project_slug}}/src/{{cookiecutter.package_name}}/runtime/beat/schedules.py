"""Adding, pausing and removing schedules while beat runs, which sees a change within seconds.

    add("report-7", "reports.send", crontab(hour="7", minute="0"),
        queue="cpu", expires=timedelta(hours=1), kwargs={"user_id": 7})

Schedules in `schedule.py` are listed here too. They can be paused, but only the code can change
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from celery import current_app
from celery.schedules import crontab, schedule, solar
from redbeat.schedulers import RedBeatSchedulerEntry, ensure_conf, get_redis

from . import redbeat as beat

if TYPE_CHECKING:
    from collections.abc import Iterator

When = crontab | schedule | solar

#: Allowed names. A leading colon could name one of the scheduler's own keys.
NAME = re.compile(r"[\w][\w.:@/ -]*")

#: The scheduler rounds times down to seconds.
SHORTEST_INTERVAL = timedelta(seconds=1)

#: How many runs `shortest_interval` looks at.
RUNS = 100


class ScheduleError(ValueError):
    """A schedule is refused or does not exist; the message is one sentence for a person."""


@dataclass(frozen=True)
class Schedule:
    """A schedule.

    Args:
        name: Its name.
        task: Name of the task.
        when: When it is due.
        queue: The queue to send to; without it, the one of the task's route.
        expires: Seconds after which a worker drops a message without running it.
        args: Positional arguments of the task.
        kwargs: Keyword arguments of the task.
        enabled: Whether it is not paused.
        next_run: When it is due next; None while it is paused.
        in_code: Whether it is defined in the code and was not added by `add`.
    """

    name: str
    task: str
    when: When
    queue: str | None
    expires: float | None
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    enabled: bool
    next_run: datetime | None
    in_code: bool


def add(
    name: str,
    task: str,
    when: When,
    *,
    queue: str,
    expires: timedelta,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Schedule:
    """Add a schedule; its first run is the next due time from now.

    Args:
        name: A name that is not in use.
        task: Name of a task of this project.
        when: A `crontab`, `schedule` or `solar`; a dictionary such as `{"hour": 2}` is an error.
        queue: The queue to send to.
        expires: Time after which a worker drops a message without running it; it must be shorter
            than the time between two runs.
        args: Positional arguments of the task, JSON.
        kwargs: Keyword arguments of the task, JSON.

    Raises:
        ScheduleError: An argument is not valid, or the name is in use.
    """
    for sentence in refusals(name, task, when, queue, expires):
        raise ScheduleError(sentence)
    store()
    entry = RedBeatSchedulerEntry(
        name,
        task,
        when,
        list(args),
        dict(kwargs or {}),
        options={"queue": str(queue), "expires": expires.total_seconds()},
        app=current_app,
    )
    if is_there(name):
        raise ScheduleError(f"a schedule {name!r} exists already: remove it first")
    entry.delete()  # remains of a removed entry that a beat was sending at that moment
    try:
        entry.save()
    except TypeError as error:
        raise ScheduleError(f"the arguments of {name!r} are not valid JSON: {error}") from None
    return to_schedule(entry)


def entries() -> list[Schedule]:
    """Return all schedules, sorted by name.

    Raises:
        ScheduleError: The scheduler in use does not support this.
    """
    found = []
    for key in store().zrange(ensure_conf(current_app).schedule_key, 0, -1):
        try:
            found.append(to_schedule(RedBeatSchedulerEntry.from_key(key, current_app)))
        except KeyError:  # removed in the meantime
            continue
    return sorted(found, key=lambda schedule: schedule.name)


def pause(name: str) -> None:
    """Pause a schedule until `resume`, even across a restart of beat.

    Raises:
        ScheduleError: There is no such schedule.
    """
    entry = find(name)
    entry.enabled = False
    entry.save()


def resume(name: str) -> None:
    """Resume a schedule from its next due time; runs missed during the pause are not made up for.

    Raises:
        ScheduleError: There is no such schedule.
    """
    entry = find(name)
    if not entry.enabled:
        entry.reschedule()  # first, because redbeat would send the missed run at once
        entry.enabled = True
        entry.save()


def remove(name: str) -> None:
    """Delete a schedule that was added by `add`.

    Raises:
        ScheduleError: There is no such schedule, or it is defined in the code.
    """
    entry = find(name)
    if is_in_code(name):
        raise ScheduleError(f"{name!r} is defined in the code: delete it there, or pause it")
    entry.delete()


def refusals(name: str, task: str, when: When, queue: str, expires: timedelta) -> Iterator[str]:
    """Yield a sentence for everything that is wrong with a schedule."""
    current_app.loader.import_default_modules()
    if not NAME.fullmatch(name):
        yield (
            f"the name {name!r} is not allowed: begin with a letter, digit or _, and use only"
            " letters, digits, spaces and _ . : @ / -"
        )
    if is_in_code(name):
        yield f"the name {name!r} is used in the code: choose another name"
    if task not in current_app.tasks:
        yield f"there is no task {task!r}: use the name of a task of this project"
    if queue not in current_app.amqp.queues:
        yield f"there is no queue {queue!r}: use one of {', '.join(current_app.amqp.queues)}"
    if not isinstance(when, When):
        yield f"{when!r} is not a valid schedule: use a crontab, schedule or solar object"
    elif (interval := shortest_interval(when)) < SHORTEST_INTERVAL:
        yield "an interval must be at least 1 s"
    elif not timedelta(0) < expires < interval:
        yield (
            f"expires must be above 0 s and below {interval.total_seconds():g} s, the shortest time"
            " between two runs, so that a late message does not meet the next one"
        )


def shortest_interval(when: When) -> timedelta:
    """Return the shortest time between any two consecutive runs in the near future."""
    return min(after - before for before, after in pairwise(islice(runs(when), RUNS)))


def runs(when: When) -> Iterator[datetime]:
    """Yield the due times from now on."""
    now = datetime.now(UTC)
    while True:
        now = following(when, now, now)
        yield now


def following(when: When, last_run: datetime, now: datetime) -> datetime:
    """Return the due time that follows a run.

    redbeat's own answer is too early by the time since that run (redbeat/schedulers.py, `due_at`).
    """
    clock: Any = copy(when)
    clock.nowfun = lambda: now
    time: datetime = now + clock.remaining_estimate(last_run)
    return time


def store() -> Any:
    """Return the Redis of the scheduler.

    Raises:
        ScheduleError: Another scheduler is in use.
    """
    if current_app.conf.beat_scheduler != f"{beat.__name__}:{beat.Scheduler.__name__}":
        raise ScheduleError(
            "changing schedules at run time needs a Redis, but none is configured:"
            " set CELERY_REDBEAT_REDIS_URL"
        )
    beat.connect(current_app)
    return get_redis(current_app)


def find(name: str) -> RedBeatSchedulerEntry:
    """Return an entry of the scheduler."""
    store()
    try:
        key = RedBeatSchedulerEntry.generate_key(current_app, name)
        return RedBeatSchedulerEntry.from_key(key, current_app)
    except KeyError:
        raise ScheduleError(
            f"there is no schedule {name!r}: run `schedule list` to see them"
        ) from None


def is_there(name: str) -> bool:
    """Whether the scheduler has an entry."""
    key = RedBeatSchedulerEntry.generate_key(current_app, name)
    return bool(store().hexists(key, "definition"))


def is_in_code(name: str) -> bool:
    """Whether a schedule is defined in `schedule.py` or by Celery itself."""
    return name in current_app.conf.beat_schedule or name.startswith("celery.")


def to_schedule(entry: RedBeatSchedulerEntry) -> Schedule:
    """Return a schedule for an entry of the scheduler."""
    now = datetime.now(UTC)
    next_run = max(now, following(entry.schedule, entry.last_run_at, now))
    return Schedule(
        name=entry.name,
        task=entry.task,
        when=entry.schedule,
        queue=entry.options.get("queue"),
        expires=entry.options.get("expires"),
        args=entry.args or (),
        kwargs=entry.kwargs,
        enabled=entry.enabled,
        next_run=next_run if entry.enabled else None,
        in_code=is_in_code(entry.name),
    )
