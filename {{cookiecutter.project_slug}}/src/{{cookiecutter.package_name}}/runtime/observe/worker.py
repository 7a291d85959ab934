"""How a worker offers its metrics: on a port, or in a text file."""

from __future__ import annotations

import atexit
import time
from pathlib import Path
from threading import Thread
from typing import Any

from celery import bootsteps
from celery.signals import task_received, worker_process_init
from celery.utils.log import get_logger
from prometheus_client import start_http_server, write_to_textfile

from ..config.environment import ConfigurationError, make_folder, read
from .metrics import REGISTRY, Recorder, WorkerState
from .settings import Settings

logger = get_logger(__name__)


class Metrics(bootsteps.Step):
    """A bootstep that counts the tasks of a worker, and offers the figures.

    It does so until the process ends: a worker that waits for its last tasks still counts them.
    """

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        settings = read(Settings)
        worker = str(parent.hostname).partition("@")[0]
        super().__init__(parent, **kwargs)
        if settings.port is None and settings.folder is None:
            return
        recorder = Recorder(worker, {*parent.app.amqp.queues})
        parent.app.observer = recorder
        task_received.connect(recorder.received, weak=False)
        REGISTRY.register(WorkerState(worker))
        if settings.port is not None:
            serve(settings.port, settings.host)
        if settings.folder is not None:
            write(settings.folder / f"celery_{worker}.prom", settings.interval)


def serve(port: int, host: str) -> None:
    """Answer Prometheus on a port, in a thread.

    Raises:
        ConfigurationError: The port cannot be had.
    """
    try:
        server, _ = start_http_server(port, host, registry=REGISTRY)
    except OSError as error:
        raise ConfigurationError(
            f"APP_METRICS_PORT is {port}, on which this process cannot listen at {host}"
            f" ({error.strerror}): give each worker of a machine a port of its own"
        ) from None
    # A process of the pool that outlives this one would keep the port.
    worker_process_init.connect(lambda **_: server.socket.close(), weak=False)


def write(path: Path, interval: float) -> None:
    """Write a file every few seconds, in a thread, and delete it when the process ends.

    Args:
        path: The file. It is replaced, so that nobody reads half of it.
        interval: Seconds between two times.

    Raises:
        ConfigurationError: It cannot be written.
    """
    make_folder(path.parent)
    try:
        write_to_textfile(str(path), REGISTRY)
    except OSError as error:
        raise ConfigurationError(
            f"APP_METRICS_FOLDER is {path.parent}, where {path.name} cannot be written"
            f" ({error.strerror}): name a folder that this process may write to"
        ) from None

    def repeat() -> None:
        while True:
            time.sleep(interval)
            try:
                write_to_textfile(str(path), REGISTRY)
            except OSError as error:
                logger.warning("Could not write the metrics to %s: %s", path, error)

    Thread(target=repeat, name="metrics", daemon=True).start()
    atexit.register(path.unlink, missing_ok=True)
