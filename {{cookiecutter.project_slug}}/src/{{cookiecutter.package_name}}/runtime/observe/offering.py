"""How a process offers its figures to Prometheus: on a port, or in a text file."""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from celery.signals import after_task_publish, worker_process_init
from celery.utils.log import get_logger
from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile

from ..config.environment import ConfigurationError, make_folder
from .metrics import Recorder
from .settings import Settings

if TYPE_CHECKING:
    from ..app import App

logger = get_logger(__name__)


def record(app: App, process: str) -> Recorder:
    """Count what a process of an app does from now on; its children do the same.

    Args:
        app: The app.
        process: The name of the process, such as `general`.
    """
    recorder = Recorder(process, {*app.tasks}, {*app.amqp.queues})
    app.observe(recorder)
    after_task_publish.connect(recorder.sent, weak=False)
    return recorder


def offer(settings: Settings, process: str, registry: CollectorRegistry) -> None:
    """Offer figures until the process ends: a worker that waits for its last tasks counts them too.

    Args:
        settings: Where to offer them.
        process: The name of the process.
        registry: The figures.

    Raises:
        ConfigurationError: The port cannot be had, or the file cannot be written.
    """
    if settings.port is not None:
        serve(settings.port, settings.host, registry)
    if settings.folder is not None:
        write(settings.folder / f"celery_{process}.prom", settings.interval, registry)


def serve(port: int, host: str, registry: CollectorRegistry) -> None:
    """Answer Prometheus on a port, in a thread.

    Raises:
        ConfigurationError: The port cannot be had.
    """
    try:
        server, _ = start_http_server(port, host, registry=registry)
    except OSError as error:
        raise ConfigurationError(
            f"APP_METRICS_PORT is {port}, on which this process cannot listen at {host}"
            f" ({error.strerror}): give each process of a machine a port of its own"
        ) from None
    owner = os.getpid()

    def close(**_: object) -> None:
        if os.getpid() != owner:  # the pool `solo` sends this signal in the worker's own process
            server.socket.close()

    # A process of the pool that outlives this one would keep the port.
    worker_process_init.connect(close, weak=False)


def write(path: Path, interval: float, registry: CollectorRegistry) -> None:
    """Write a file every few seconds, in a thread, and delete it when the process ends.

    Args:
        path: The file. It is replaced, so that nobody reads half of it.
        interval: Seconds between two times.
        registry: The figures.

    Raises:
        ConfigurationError: It cannot be written.
    """
    make_folder(path.parent)
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise ConfigurationError(
            f"APP_METRICS_FOLDER is {path.parent}, where {path.name} cannot be written"
            f" ({error.strerror}): name a folder that this process may write to"
        ) from None
    owner = os.getpid()

    def repeat() -> None:
        while True:
            time.sleep(interval)
            try:
                write_to_textfile(str(path), registry)
            except OSError as error:
                logger.warning("Could not write the metrics to %s: %s", path, error)

    def delete() -> None:
        if os.getpid() == owner:
            path.unlink(missing_ok=True)

    Thread(target=repeat, name="metrics", daemon=True).start()
    atexit.register(delete)
