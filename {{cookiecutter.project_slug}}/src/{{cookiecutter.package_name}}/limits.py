"""The time budget: how long tasks may take, and what follows from that.

    soft limit < hard limit < shutdown grace

A worker that is told to stop waits for its running tasks. So whatever stops it (systemd, Docker,
Kubernetes) must wait longer than the longest task may run; `grace` is that time.

Each pool enforces (https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits):

    prefork             soft limit (an exception in the task) and hard limit (the process is killed)
    gevent, eventlet    hard limit only
    threads, solo       none: give every call that can block a timeout of its own
"""

from .runtime.budget import Budget

#: All in seconds.
BUDGET = Budget(
    soft={{ cookiecutter._time_budget.soft_limit }},  # the task gets `SoftTimeLimitExceeded` and can clean up
    hard={{ cookiecutter._time_budget.hard_limit }},  # the task is killed
    grace={{ cookiecutter._time_budget.shutdown_grace }},  # between SIGTERM and SIGKILL; the deployment must grant it
    # The time after which the broker gives a silent worker's tasks to another worker (the
    # {{ cookiecutter._brokers[cookiecutter.broker].lease }}).
    lease={{ cookiecutter._time_budget.lease[cookiecutter.pool] }},
    # The time after which `deploy/alive` fails for a silent worker{{ " (solo is, while a task runs)" if cookiecutter.pool == "solo" }}.
    heartbeat_age={{ cookiecutter._time_budget.heartbeat_age[cookiecutter.pool] }},
)
