"""What a worker checks and sets before it starts: what depends on its pool, which only it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from celery import Celery, bootsteps
from celery.utils.log import get_logger

from ...limits import BUDGET
from .. import budget
from ..config.annotations import EVERY_TASK
from ..config.environment import ConfigurationError
from ..letters import retention
from ..{{ cookiecutter._settings.broker[cookiecutter.broker] | join(" import ") }}
{% if cookiecutter.__sql %}
from ..sql import database
{% endif %}

logger = get_logger(__name__)

#: How often a worker tries to store a result: with Celery's growing waits about 20 seconds in all.
#: It must be less than the lease, which is not renewed while the main process tries.
RESULT_TRIES = 12

GREENLET_POOLS = {"gevent", "eventlet"}


def pool_name(pool_class: type) -> str:
    """Return the name of a pool as `--pool` takes it."""
    name = pool_class.__module__.rpartition(".")[2]
    return "threads" if name == "thread" else name


def is_patched(pool: str) -> bool:
    """Whether the standard library waits in the way of a greenlet pool."""
    name = "gevent.monkey" if pool == "gevent" else "eventlet.patcher"
    patcher = import_module(name)
    check = patcher.is_module_patched if pool == "gevent" else patcher.is_monkey_patched
    return bool(check("socket"))


def wrong_tasks(app: Celery, lease: budget.Lease, pool: str) -> Iterator[str]:
    """Yield a sentence for every task whose own limits break the time budget, or that is none.

    Args:
        app: The app, with all tasks imported.
        lease: Time after which the broker gives the tasks of a silent worker away.
        pool: The worker's pool.
    """
    annotated = {name for row in app.conf.task_annotations or () for name in row.table}
    for name in sorted(annotated - app.tasks.keys() - {EVERY_TASK}):
        hint = "".join(f": did you mean {close}" for close in get_close_matches(name, app.tasks, 1))
        yield f"CELERY_TASK_ANNOTATIONS names {name!r}, and there is no such task{hint}"
    usual = app.conf.task_soft_time_limit
    tasks: Mapping[str, Any] = app.tasks
    for name, task in sorted(tasks.items()):
        soft, hard = task.soft_time_limit, task.time_limit
        if hard <= soft == usual:
            logger.warning(
                "Task %s ends by its time limit (%g s) before the soft limit of all tasks (%g s):"
                " set its soft_time_limit if it needs time to clean up",
                *(name, hard, soft),
            )
            soft = hard / 2
        if sentence := budget.broken(soft, hard, BUDGET.grace, lease, pool, name):
            yield sentence


class StartupChecks(bootsteps.Step):
    """Refuse to start when the time budget or the pool cannot work; leave out what nobody needs."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        pool = pool_name(parent.pool_cls)
        conf = parent.app.conf
        if pool == "prefork":
            from . import local_pool  # which only a worker can import

            parent.pool_cls.BlockingPool = local_pool.Pool  # only used without an event loop
        if pool in GREENLET_POOLS:
            # Celery patches early enough only when it reads the pool from the command line:
            # https://docs.celeryq.dev/en/stable/userguide/concurrency/gevent.html
            if not is_patched(pool):
                raise ConfigurationError(f"pool {pool} must be given by the option --pool {pool}")
            # Without an event loop a full worker looks for work every 2 seconds only
            # (celery/worker/loops.py, `synloop`), so it takes a second round ahead.
            conf.worker_disable_prefetch = False
            parent.prefetch_multiplier = max(parent.prefetch_multiplier, 2)
        if not parent.task_events:
            # Without --task-events nobody listens to heartbeats and gossip. Under greenlets on
            # RabbitMQ they are also dangerous: one that waits for the confirmation of the broker,
            # which another greenlet may have read, holds up a stopping worker.
            parent.options.update(without_heartbeat=True, without_gossip=True)
        # A publisher gives up soon; a worker waits until the result of what it did can be kept.
        conf.update(result_backend_always_retry=True, result_backend_max_retries=RESULT_TRIES)
        lease = {{ cookiecutter._settings.broker[cookiecutter.broker][1] }}.lease_in(conf)
        sentence = budget.broken(
            parent.soft_time_limit or conf.task_soft_time_limit,
            parent.time_limit or conf.task_time_limit,
            BUDGET.grace,
            lease,
            pool,
        )
        if sentence:
            raise ConfigurationError(sentence)
        for sentence in wrong_tasks(parent.app, lease, pool):
            raise ConfigurationError(sentence)
{% if cookiecutter.__sql %}
        database.prepare(pool, parent.concurrency)
{% endif %}
        if pool in budget.UNENFORCED:
            logger.info("The %s pool enforces %s", pool, budget.UNENFORCED[pool])
        retention.settings()  # a wrong one ends the worker now, not with its first dead letter
        super().__init__(parent, **kwargs)


class HandedOver(bootsteps.StartStopStep):
    """Under prefork, stand by tasks that a process has got but not yet reported as started.

    Celery forgets them when it stops or loses its connection (celery/concurrency/asynpool.py,
    `flush`), although they run: their messages go back and run again, and a stopping process waits
    30 seconds for somebody to take note of its result (billiard/pool.py). One deploy in five did.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def include_if(self, parent: Any) -> bool:
        """Other pools forget nothing."""
        return pool_name(type(parent.pool)) == "prefork"

    def start(self, parent: Any) -> None:
        """Let a flush spare what was handed over."""
        from celery.worker import state  # which no publisher needs

        if not parent.pool.flush:  # without an event loop, as on files, the pool forgets nothing
            return
        processes = parent.pool._pool

        def flush() -> None:
            jobs = {number: job for number, job in processes._cache.items() if job._write_to}
            processes.flush()
            for number, job in jobs.items():
                if not job.ready():
                    processes._cache[number] = job
                    state.active_requests.add(job._accept_callback.__self__)

        parent.pool.flush = flush


class PromptAcknowledgement(bootsteps.StartStopStep):
    """Under solo, acknowledge a task as soon as it has ended.

    Celery leaves that to its event loop, which may sleep for up to 10 seconds first, since the task
    itself ran inside the loop (kombu/asynchronous/hub.py, `create_loop`). Until then RabbitMQ sends
    no other task.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def include_if(self, parent: Any) -> bool:
        """Other pools wake the loop up."""
        return pool_name(type(parent.pool)) == "solo"

    def start(self, parent: Any) -> None:
        """Acknowledge when Celery asks for it, not later."""
        parent.call_soon_ack = lambda function, *args, **kwargs: function(*args, **kwargs)
