"""The time budget of tasks: which limits apply to a task, and whether they fit together.

    soft limit < hard limit < shutdown grace

A project states its budget once, as `BUDGET` in its `limits.py`. Settings may change the limits.
"""

from __future__ import annotations

from typing import NamedTuple

from celery import current_app, current_task

#: The limits that a pool does not enforce; logged once when a worker starts.
UNENFORCED = {
    "gevent": "no soft time limit",
    "eventlet": "no soft time limit",
    "threads": "no time limits",
    "solo": "no time limits",
}


class Budget(NamedTuple):
    """How long things may take in a project, in seconds."""

    #: The time after which a task gets `SoftTimeLimitExceeded`, so that it can clean up.
    soft: float
    #: The time after which a task is killed.
    hard: float
    #: The time between SIGTERM and SIGKILL, which the deployment must grant.
    grace: float
    #: The time after which the broker gives a silent worker's tasks to another worker.
    lease: int
    #: The time after which the deployment's probe fails for a silent worker (`worker/liveness.py`).
    heartbeat_age: int


class Lease(NamedTuple):
    """How long a broker waits for a silent worker, and which setting decides it."""

    seconds: float
    #: The broker's name for it, such as "visibility timeout".
    name: str
    #: The variable that sets it.
    setting: str


class Limits(NamedTuple):
    """Time limits in seconds."""

    soft: float
    hard: float


def configured() -> Limits:
    """Return the limits from the settings, which apply to tasks without their own."""
    conf = current_app.conf
    return Limits(conf.task_soft_time_limit, conf.task_time_limit)


def in_force() -> Limits:
    """Return the limits of the running task: its message's, its own, or the general ones."""
    usual = configured()
    if not current_task:
        return usual
    hard, soft = current_task.request.timelimit or (None, None)
    return Limits(
        soft or current_task.soft_time_limit or usual.soft,
        hard or current_task.time_limit or usual.hard,
    )


def longest() -> float:
    """Return the longest hard limit of all tasks of this app, in seconds."""
    own = (task.time_limit or 0 for task in current_app.tasks.values())
    return max(configured().hard, *own)


def broken(
    soft: float, hard: float, grace: float, lease: Lease, pool: str = "", task: str = ""
) -> str | None:
    """Return what is wrong with a time budget, in one sentence, or None.

    Args:
        soft: Soft time limit in seconds.
        hard: Hard time limit in seconds.
        grace: Time to shut down in seconds.
        lease: The time after which the broker gives a silent worker's tasks to another worker.
        pool: The worker's pool, if it is known.
        task: The name of the task that has these limits; without it, they are the general ones.
    """
    whose, settings = "", ("CELERY_TASK_SOFT_TIME_LIMIT", "CELERY_TASK_TIME_LIMIT")
    if task:
        where = "(in the task's decorator or in CELERY_TASK_ANNOTATIONS)"
        whose, settings = f"task {task!r}: ", ("soft_time_limit", f"time_limit {where}")
    if not 0 < soft < hard:
        return (
            f"{whose}the soft time limit ({soft:g} s) must be below the hard one ({hard:g} s):"
            f" change {settings[0]} or {settings[1]}"
        )
    if hard >= grace:
        return (
            f"{whose}the hard time limit ({hard:g} s) must be below the shutdown grace"
            f" ({grace:g} s): lower {settings[1]}, or raise `grace` in limits.py and its"
            " deployment"
        )
    if pool == "solo" and lease.seconds <= hard:
        return (
            f"{whose}under the solo pool the {lease.name} ({lease.seconds:g} s) must exceed"
            f" the hard time limit ({hard:g} s), because the worker cannot renew it while a task"
            f" runs: change {lease.setting} or {settings[1]}"
        )
    return None
