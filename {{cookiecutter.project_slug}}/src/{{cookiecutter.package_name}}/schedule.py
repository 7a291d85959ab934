"""The schedule of beat. Times are UTC.

Every entry expires before its next run is due: a broker that was down for a day must not give a
worker a day of stale work. {{ cookiecutter._schedule_notes[cookiecutter.beat] }}
"""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab, schedule, solar

from .queues import QueueName


def entry(
    task: str,
    when: crontab | schedule | solar,
    expires: timedelta,
    queue: QueueName,
    **kwargs: Any,
) -> dict[str, Any]:
    """Return a row of the schedule.

    Args:
        task: Name of the task.
        when: Its times. `{"hour": 2}` is none: it must be a `crontab`, `schedule` or `solar`.
        expires: Time after which a worker drops the message unrun.
        queue: Where it waits.
        kwargs: Keyword arguments of the task.
    """
    options = {"expires": expires.total_seconds(), "queue": queue.value}
    return {"task": task, "schedule": when, "kwargs": kwargs, "options": options}


SCHEDULE: dict[str, dict[str, Any]] = {
{% if cookiecutter.__django %}
    "clean-up": entry(
        "jobs.clean_up",
        crontab(hour="4", minute="30"),
        timedelta(hours=6),
        QueueName.BULK,
        older_than_days=30,
    ),
{% endif %}
    "heartbeat": entry(
        "heartbeat.beat", schedule(timedelta(minutes=1)), timedelta(seconds=50), QueueName.DEFAULT
    ),
{% if cookiecutter.__sql %}
    "outbox": entry(
        "outbox.relay", schedule(timedelta(seconds=5)), timedelta(seconds=4), QueueName.DEFAULT
    ),
{% endif %}
{% include "examples/" ~ cookiecutter.examples ~ "/schedule.py" ignore missing %}
}
