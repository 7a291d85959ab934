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

#: Seconds without a sign of life (`runtime/worker/liveness.py`) after which `deploy/alive` fails{{ ".\n#: Under the solo pool a task holds them up" if cookiecutter.pool == "solo" }}.
HEARTBEAT_AGE = {{ cookiecutter._time_budget.heartbeat_age[cookiecutter.pool] }}
