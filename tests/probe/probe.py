"""A module for workers to load beside the project's own: it records what their tasks do.

`CELERY_WORKER_INCLUDE=probe celery -A <package> worker` loads it; `PROBE_FILE` names the file that
keeps the records, a line of JSON each. One is written when a task starts, one when it ends, and one
when it will be tried again.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import shared_task, signals  # type: ignore[import-not-found,import-untyped,unused-ignore]


def record(event: str, task: Any, **details: Any) -> None:
    """Append a record."""
    request = task.request
    entry = {
        "event": event,
        "task": task.name,
        "id": request.id,
        "time": time.time(),
        "queue": request.delivery_info["routing_key"],
        "worker": request.hostname.partition("@")[0],
        "pid": os.getpid(),
        "args": request.args,
        **details,
    }
    file = os.open(os.environ["PROBE_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, json.dumps(entry).encode() + b"\n")  # in one piece, whoever else writes
    finally:
        os.close(file)


def started(task: Any, **_: Any) -> None:
    """Record that a task starts."""
    record("start", task)


def ended(task: Any, state: str, **_: Any) -> None:
    """Record that a task ended: its state may be RETRY."""
    record("end", task, state=state)


def postponed(sender: Any, reason: Any, **_: Any) -> None:
    """Record the seconds that a retry waits."""
    record("retry", sender, countdown=reason.when)


signals.task_prerun.connect(started, weak=False)
signals.task_postrun.connect(ended, weak=False)
signals.task_retry.connect(postponed, weak=False)


def sleep(seconds: float, *_: object) -> None:
    """Keep a worker waiting."""
    time.sleep(seconds)


shared_task(name="probe.sleep")(sleep)
