"""Rows of the schedule that a project keeps in code."""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab, schedule, solar


def entry(
    task: str,
    when: crontab | schedule | solar,
    expires: timedelta,
    queue: str | None = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """Return a row of the schedule.

    Args:
        task: Name of the task.
        when: Its times. `{"hour": 2}` is none: it must be a `crontab`, `schedule` or `solar`.
        expires: Time after which a worker drops the message unrun.
        queue: Where it waits, if not where the task usually does.
        kwargs: Keyword arguments of the task.
    """
    options: dict[str, Any] = {"expires": expires.total_seconds()}
    if queue is not None:
        options["queue"] = str(queue)
    return {"task": task, "schedule": when, "kwargs": kwargs, "options": options}
