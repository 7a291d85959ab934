"""The time budget: how long a task may take, and what follows from it.

    soft limit < hard limit < shutdown grace

A worker that is told to stop waits for its running tasks, so whatever stops it (systemd, Docker,
Kubernetes) must wait longer than the longest task may run: `SHUTDOWN_GRACE` is that value.

What each pool enforces (https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits):

    prefork             soft limit (an exception in the task) and hard limit (the process is killed)
    gevent, eventlet    hard limit only
    threads, solo       none: bound every call that can block by its own timeout
"""

from typing import NamedTuple

from celery import current_app, current_task

#: Seconds after which a task gets `SoftTimeLimitExceeded` and can clean up.
SOFT_LIMIT = {{ cookiecutter._time_budget.soft_limit }}

#: Seconds after which a task is killed.
HARD_LIMIT = {{ cookiecutter._time_budget.hard_limit }}

#: Seconds between SIGTERM and SIGKILL that a deployment must grant.
SHUTDOWN_GRACE = {{ cookiecutter._time_budget.shutdown_grace }}

#: Seconds without a sign of life after which the broker gives the tasks of a worker to another one:
#: the {{ cookiecutter._brokers[cookiecutter.broker].lease }}.
LEASE = {{ cookiecutter._time_budget.lease[cookiecutter.pool] }}

#: Seconds without a sign of life (`liveness.py`) after which `deploy/alive` fails{{ ".\n#: Under the solo pool a task holds them up" if cookiecutter.pool == "solo" }}.
HEARTBEAT_AGE = {{ cookiecutter._time_budget.heartbeat_age[cookiecutter.pool] }}

#: What a pool does not enforce; told once when a worker starts.
UNENFORCED = {
    "gevent": "no soft time limit",
    "eventlet": "no soft time limit",
    "threads": "no time limits",
    "solo": "no time limits",
}


class Limits(NamedTuple):
    """Time limits in seconds."""

    soft: float
    hard: float


def configured() -> Limits:
    """Return the limits of a task that has none of its own: the settings win over this module."""
    conf = current_app.conf
    return Limits(conf.task_soft_time_limit or SOFT_LIMIT, conf.task_time_limit or HARD_LIMIT)


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
    soft: float, hard: float, grace: float, lease: float, pool: str = "", task: str = ""
) -> str | None:
    """Say in one sentence what is wrong with a time budget, or nothing.

    Args:
        soft: Soft time limit in seconds.
        hard: Hard time limit in seconds.
        grace: Time to shut down in seconds.
        lease: Time in seconds after which the broker gives the tasks of a silent worker away.
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
            f" ({grace:g} s): lower {settings[1]}, or raise SHUTDOWN_GRACE in limits.py and its"
            " deployment"
        )
    if pool == "solo" and lease <= hard:
        return (
            f"{whose}under the solo pool the {{ cookiecutter._brokers[cookiecutter.broker].lease }} ({lease:g} s) must exceed"
            f" the hard time limit ({hard:g} s), since a worker gives no sign of life while a task"
            f" runs: change {{ cookiecutter._brokers[cookiecutter.broker].lease_setting }} or {settings[1]}"
        )
    return None
