"""Signs of life: a file that a worker or beat touches as long as its main loop turns.

A probe looks at the age of the file (`deploy/alive`), in a few milliseconds and without the broker;
`celery inspect ping` takes more than a second of a processor each time. A worker whose broker is
away is alive: a restart would not help it, and would end its tasks.
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

#: Seconds between two signs of life.
INTERVAL = 5

#: The variable that names the file; without it there is none.
VARIABLE = "HEARTBEAT_PATH"


def is_watched() -> bool:
    """Whether somebody looks for signs of life."""
    return bool(os.environ.get(VARIABLE))


def touch() -> None:
    """Give a sign of life.

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
    """Let a worker give signs of life from its main loop."""

    requires = ("celery.worker.components:Timer",)

    def include_if(self, parent: Any) -> bool:
        """Only where somebody looks."""
        return is_watched()

    def start(self, parent: Any) -> None:
        """Begin; there is no `stop`, since a stopping worker waits for its tasks."""
        touch()
        parent.timer.call_repeatedly(INTERVAL, touch)
        Thread(target=self.stand_in, args=(parent,), name="heartbeat", daemon=True).start()

    def stand_in(self, parent: Any) -> None:
        """Give the signs while there is no main loop to do it."""
        while True:
            if has_no_loop(parent):
                touch()
            time.sleep(INTERVAL)


def has_no_loop(worker: Any) -> bool:
    """Whether a worker starts, waits for its broker, or stops."""
    consumer = worker.consumer
    is_running = worker.blueprint.state == RUN
    return consumer is None or consumer.connection is None or not is_running
