"""The time budget: how long a task may take, and what follows from it.

    soft limit < hard limit < shutdown grace

A worker that is told to stop waits for its running tasks, so whatever stops it (systemd, Docker,
Kubernetes) must wait longer than the longest task may run: `SHUTDOWN_GRACE` is that value.

What each pool enforces (https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits):

    prefork             soft limit (an exception in the task) and hard limit (the process is killed)
    gevent, eventlet    hard limit only
    threads, solo       none: bound every call that can block by its own timeout
"""

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


def broken(soft: float, hard: float, grace: float, lease: float, pool: str = "") -> str | None:
    """Say in one sentence what is wrong with a time budget, or nothing.

    Args:
        soft: Soft time limit in seconds.
        hard: Hard time limit in seconds.
        grace: Time to shut down in seconds.
        lease: Time in seconds after which the broker gives the tasks of a silent worker away.
        pool: The worker's pool, where it is known.
    """
    if not 0 < soft < hard:
        return (
            f"the soft time limit ({soft:g} s) must be below the hard one ({hard:g} s):"
            " change CELERY_TASK_SOFT_TIME_LIMIT or CELERY_TASK_TIME_LIMIT"
        )
    if hard >= grace:
        return (
            f"the hard time limit ({hard:g} s) must be below the shutdown grace ({grace:g} s):"
            " lower CELERY_TASK_TIME_LIMIT, or raise SHUTDOWN_GRACE in limits.py and its deployment"
        )
    if pool == "solo" and lease <= hard:
        return (
            f"under the solo pool the {{ cookiecutter._brokers[cookiecutter.broker].lease }} ({lease:g} s) must exceed the hard time"
            f" limit ({hard:g} s), since a worker gives no sign of life while a task runs: change"
            " {{ cookiecutter._brokers[cookiecutter.broker].lease_setting }} or CELERY_TASK_TIME_LIMIT"
        )
    return None
