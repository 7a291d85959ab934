"""The bootstep by which a worker counts its tasks and offers the figures."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.signals import task_received

from ..config.environment import read
from ..worker.pools import pool_name
from . import processes
from .figures import FIGURES
from .settings import Settings


class Metrics(bootsteps.Step):
    """A bootstep that counts the tasks of a worker, and offers the figures."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        settings = read(Settings)
        if settings.is_wanted:
            observe(parent, settings)


def observe(worker: Any, settings: Settings) -> None:
    """Count the tasks of a worker from now on.

    Args:
        worker: The worker, before its pool starts.
        settings: Where to offer the figures.

    Raises:
        ConfigurationError: They cannot be offered there.
    """
    from . import metrics, offering, state

    registry = metrics.REGISTRY
    if pool_name(worker.pool_cls) == "prefork":  # decided before anything is counted
        registry = processes.sum_of(processes.share())
        registry.register(FIGURES)  # which no process of the pool counts
    else:
        processes.keep()
    name = str(worker.hostname).partition("@")[0]
    recorder = offering.record(worker.app, name)
    task_received.connect(recorder.received, weak=False)
    registry.register(state.WorkerState(name, worker))
    offering.offer(settings, name, registry)
