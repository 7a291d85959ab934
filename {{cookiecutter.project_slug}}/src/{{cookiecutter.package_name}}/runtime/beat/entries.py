"""Entries of the schedule in a project's code."""

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
    """Return an entry of the schedule.

    Args:
        task: Name of the task.
        when: A `crontab`, `schedule` or `solar`; a dictionary such as `{"hour": 2}` is an error.
        expires: Time after which a worker drops the message without running it.
        queue: The queue to send to, if it is not the usual queue of the task.
        kwargs: Keyword arguments of the task.
    """
    options: dict[str, Any] = {"expires": expires.total_seconds()}
    if queue is not None:
        options["queue"] = str(queue)
    return {"task": task, "schedule": when, "kwargs": kwargs, "options": options}
