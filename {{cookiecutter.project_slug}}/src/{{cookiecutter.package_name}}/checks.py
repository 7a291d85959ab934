"""What a worker checks and sets before it starts: what depends on its pool, which only it knows."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger

from . import limits
from .config import ConfigurationError

logger = get_logger(__name__)

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


class StartupChecks(bootsteps.Step):
    """Refuse to start when the time budget or the pool cannot work; leave out what nobody needs."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        pool = pool_name(parent.pool_cls)
        conf = parent.app.conf
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
        lease = {{ cookiecutter._brokers[cookiecutter.broker].lease_value }}
        sentence = limits.broken(
            parent.soft_time_limit or conf.task_soft_time_limit,
            parent.time_limit or conf.task_time_limit,
            limits.SHUTDOWN_GRACE,
            lease,
            pool,
        )
        if sentence:
            raise ConfigurationError(sentence)
        if pool in limits.UNENFORCED:
            logger.info("The %s pool enforces %s", pool, limits.UNENFORCED[pool])
        super().__init__(parent, **kwargs)


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
