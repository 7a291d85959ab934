"""The liveness file, which a worker or beat touches as long as its main loop runs.

A probe checks the age of the file (`deploy/alive`) in a few milliseconds and without the broker;
`celery inspect ping` takes more than a second of CPU time. A worker whose broker is unreachable
counts as alive: a restart would not help it, and would end its tasks.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Thread
from typing import Any

from celery import bootsteps
from celery.bootsteps import RUN  # type: ignore[attr-defined]

from ..config.environment import ConfigurationError

#: Seconds between two touches of the file.
INTERVAL = 5

#: The variable that names the file; without it, no file is touched.
VARIABLE = "HEARTBEAT_PATH"


def is_watched() -> bool:
    """Whether a liveness file is configured."""
    return bool(os.environ.get(VARIABLE))


def touch() -> None:
    """Touch the liveness file.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    path = os.environ[VARIABLE]
    try:
        Path(path).touch()
    except OSError as error:
        raise ConfigurationError(
            f"{VARIABLE} is {path!r}, which cannot be written ({error.strerror}): name a file in a"
            " folder that this process may write to"
        ) from error


class Heartbeat(bootsteps.StartStopStep):
    """A bootstep that touches the liveness file from the main loop of a worker."""

    requires = ("celery.worker.components:Timer",)

    def include_if(self, parent: Any) -> bool:
        """Run only if a liveness file is configured."""
        return is_watched()

    def start(self, parent: Any) -> None:
        """Begin; there is no `stop`, because a stopping worker still waits for its tasks."""
        touch()
        parent.timer.call_repeatedly(INTERVAL, touch)
        Thread(target=self.stand_in, args=(parent,), name="heartbeat", daemon=True).start()

    def stand_in(self, parent: Any) -> None:
        """Touch the file while the main loop is not running."""
        while True:
            if has_no_loop(parent):
                touch()
            time.sleep(INTERVAL)


def has_no_loop(worker: Any) -> bool:
    """Whether a worker is starting, waiting for its broker, or stopping."""
    consumer = worker.consumer
    is_running = worker.blueprint.state == RUN
    return consumer is None or consumer.connection is None or not is_running
