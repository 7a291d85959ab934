"""The time budget of tasks: what is in force for one, and what contradicts itself.

    soft limit < hard limit < shutdown grace

A project states its budget once (`BUDGET` in its `limits.py`); its settings may change the limits.
"""

from __future__ import annotations

from typing import NamedTuple

from celery import current_app, current_task

#: What a pool does not enforce; logged once when a worker starts.
UNENFORCED = {
    "gevent": "no soft time limit",
    "eventlet": "no soft time limit",
    "threads": "no time limits",
    "solo": "no time limits",
}


class Budget(NamedTuple):
    """How long things may take in a project, in seconds."""

    #: After which a task gets `SoftTimeLimitExceeded` and can clean up.
    soft: float
    #: After which a task is killed.
    hard: float
    #: Between SIGTERM and SIGKILL, which a deployment must grant.
    grace: float
    #: Without a sign of life, after which the broker gives the tasks of a worker to another one.
    lease: int
    #: Without a sign of life, after which the probe of a deployment fails (`worker/liveness.py`).
    heartbeat_age: int


class Lease(NamedTuple):
    """How long a broker waits for a sign of life of a worker, and what sets it."""

    seconds: float
    #: What it is called for this broker, such as "visibility timeout".
    name: str
    #: The variable that changes it.
    setting: str


class Limits(NamedTuple):
    """Time limits in seconds."""

    soft: float
    hard: float


def configured() -> Limits:
    """Return the limits of a task that has none of its own: those of the settings."""
    conf = current_app.conf
    return Limits(conf.task_soft_time_limit, conf.task_time_limit)


def in_force() -> Limits:
    """Return the limits of the task that runs here: those of its message, its own, or the usual."""
    usual = configured()
    if not current_task:
        return usual
    hard, soft = current_task.request.timelimit or (None, None)
    return Limits(
        soft or current_task.soft_time_limit or usual.soft,
        hard or current_task.time_limit or usual.hard,
    )


def longest() -> float:
    """Return the hard limit in seconds that no task of this app exceeds."""
    own = (task.time_limit or 0 for task in current_app.tasks.values())
    return max(configured().hard, *own)


def broken(
    soft: float, hard: float, grace: float, lease: Lease, pool: str = "", task: str = ""
) -> str | None:
    """Say in one sentence what is wrong with a time budget, or nothing.

    Args:
        soft: Soft time limit in seconds.
        hard: Hard time limit in seconds.
        grace: Time to shut down in seconds.
        lease: Time after which the broker gives the tasks of a silent worker away.
        pool: The worker's pool, where it is known.
        task: Name of the task whose limits they are; without it, they are those of all tasks.
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
            f" the hard time limit ({hard:g} s), since a worker gives no sign of life while a task"
            f" runs: change {lease.setting} or {settings[1]}"
        )
    return None
