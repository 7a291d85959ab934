"""Start-up checks and settings of a worker that depend on its pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.utils.log import get_logger

from .. import budget
from ..config.annotations import EVERY_TASK
from ..config.environment import ConfigurationError
from ..letters import retention
from . import thread
from .pools import GREENLET_POOLS, is_patched, pool_name

if TYPE_CHECKING:
    from ..app import App

logger = get_logger(__name__)

#: How often a worker tries to store a result; with Celery's growing waits, for about 20 seconds in
#: all. That must be less than the lease, which is not renewed while the main process tries.
RESULT_TRIES = 12


class StartupChecks(bootsteps.Step):
    """Adapt a worker to its pool, and refuse to start it if something cannot work."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        pool = pool_name(parent.pool_cls)
        if sentence := next(refusals(parent, pool), None):
            raise ConfigurationError(sentence)
        tune(parent, pool)
        for part in parent.app.parts:
            part.prepare(pool, parent.concurrency)
        if pool in budget.UNENFORCED:
            logger.info("The %s pool enforces %s", pool, budget.UNENFORCED[pool])
        retention.settings()  # so that a wrong setting ends the worker now
        super().__init__(parent, **kwargs)


def tune(worker: Any, pool: str) -> None:
    """Change settings that depend on the pool, and turn off what nobody needs."""
    conf = worker.app.conf
    if pool == "prefork":
        from .prefork import TaskPool  # which cannot be imported on Windows

        worker.pool_cls = TaskPool
    elif pool == "threads":
        worker.pool_cls = thread.TaskPool
    if pool in GREENLET_POOLS:
        # Without an event loop, a worker that was full looks for work only every 2 seconds
        # (celery/worker/loops.py, `synloop`), so it prefetches a second round of tasks.
        conf.worker_disable_prefetch = False
        worker.prefetch_multiplier = max(worker.prefetch_multiplier, 2)
    if not worker.task_events:
        # Nobody listens to gossip, nor to heartbeats until somebody asks for events, and then
        # `events.py` sends them. Under a greenlet pool on RabbitMQ they can also block a worker
        # that stops: they wait for a confirmation of the broker that another greenlet may have
        # read.
        worker.options.update(without_heartbeat=True, without_gossip=True)
    # A publisher gives up soon; a worker keeps trying to store the results of its tasks.
    conf.update(result_backend_always_retry=True, result_backend_max_retries=RESULT_TRIES)


def refusals(worker: Any, pool: str) -> Iterator[str]:
    """Yield a sentence for everything that would keep a worker from doing its work."""
    app, conf = worker.app, worker.app.conf
    if pool in GREENLET_POOLS and not is_patched(pool):
        # Celery patches early enough only when it reads the pool from the command line:
        # https://docs.celeryq.dev/en/stable/userguide/concurrency/gevent.html
        yield (
            f"the {pool} pool cannot be chosen by a setting: start the worker with --pool {pool}"
        )
    lease = app.settings.lease_in(conf)
    sentence = budget.broken(
        worker.soft_time_limit or conf.task_soft_time_limit,
        worker.time_limit or conf.task_time_limit,
        app.budget.grace,
        lease,
        pool,
    )
    if sentence:
        yield sentence
    yield from wrong_tasks(app, lease, pool)


def wrong_tasks(app: App, lease: budget.Lease, pool: str) -> Iterator[str]:
    """Yield a sentence for every task whose limits break the time budget, or that does not exist.

    Args:
        app: The app, with all tasks imported.
        lease: The time after which the broker gives a silent worker's tasks to another worker.
        pool: The worker's pool.
    """
    annotated = {name for row in app.conf.task_annotations or () for name in row.table}
    for name in sorted(annotated - app.tasks.keys() - {EVERY_TASK}):
        hint = "".join(
            f". Did you mean {close}?" for close in get_close_matches(name, app.tasks, 1)
        )
        yield f"CELERY_TASK_ANNOTATIONS names {name!r}, but there is no such task{hint}"
    usual = app.conf.task_soft_time_limit
    tasks: Mapping[str, Any] = app.tasks
    for name, task in sorted(tasks.items()):
        soft, hard = task.soft_time_limit, task.time_limit
        if hard <= soft == usual:
            logger.warning(
                "Task %s is killed by its time limit (%g s) before the general soft limit (%g s):"
                " set its soft_time_limit if it needs time to clean up",
                *(name, hard, soft),
            )
            soft = hard / 2
        if sentence := budget.broken(soft, hard, app.budget.grace, lease, pool, name):
            yield sentence
