"""The schedule of beat. Times are UTC.

Every entry expires before its next run is due, so that a broker that was down for a day does not
bring a day of stale work. {{ cookiecutter._schedule_notes[cookiecutter.beat] }}
"""

from datetime import timedelta
from typing import Any

from celery.schedules import {{ "crontab, schedule" if cookiecutter.__examples or cookiecutter.__django else "schedule" }}

from .runtime.beat.entries import entry

SCHEDULE: dict[str, dict[str, Any]] = {
{% if cookiecutter.__django %}
    "clean-up": entry(
        "jobs.clean_up",
        crontab(hour="4", minute="30"),
        timedelta(hours=6),
        older_than_days=30,
    ),
{% endif %}
    "heartbeat": entry("heartbeat.beat", schedule(timedelta(minutes=1)), timedelta(seconds=50)),
{% if cookiecutter.__sql %}
    "outbox": entry("outbox.relay", schedule(timedelta(seconds=5)), timedelta(seconds=4)),
{% endif %}
{% include "examples/" ~ cookiecutter.examples ~ "/schedule.py" ignore missing %}
}
