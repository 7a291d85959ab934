"""The time budget: how long a task may take, and what follows from it.

    soft limit < hard limit < shutdown grace

A worker that is told to stop waits for its running tasks, so whatever stops it (systemd, Docker,
Kubernetes) must wait longer than the longest task may run: `grace` is that value.

What each pool enforces (https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits):

    prefork             soft limit (an exception in the task) and hard limit (the process is killed)
    gevent, eventlet    hard limit only
    threads, solo       none: bound every call that can block by its own timeout
"""

from .runtime.budget import Budget

#: All in seconds.
BUDGET = Budget(
    soft={{ cookiecutter._time_budget.soft_limit }},  # a task gets `SoftTimeLimitExceeded` and can clean up
    hard={{ cookiecutter._time_budget.hard_limit }},  # a task is killed
    grace={{ cookiecutter._time_budget.shutdown_grace }},  # between SIGTERM and SIGKILL; a deployment must grant it
    # Without a sign of life, until the broker gives the tasks of a worker to another one: the
    # {{ cookiecutter._brokers[cookiecutter.broker].lease }}.
    lease={{ cookiecutter._time_budget.lease[cookiecutter.pool] }},
    # Without a sign of life, until `deploy/alive` fails{{ "; under the solo pool a task holds it up" if cookiecutter.pool == "solo" }}.
    heartbeat_age={{ cookiecutter._time_budget.heartbeat_age[cookiecutter.pool] }},
)
