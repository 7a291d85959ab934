"""Figures that the processes of a pool share with their worker, so that a scrape shows their sum.

The library keeps the figures of each process in files
(https://prometheus.github.io/client_python/multiprocess/), by default under the id of the process:
with pools that replace their processes, there would be more and more of them. Here a new process
goes on with the files of the one whose place in the pool it takes, so none is lost and none is
added.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from billiard import current_process
from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector

#: Where the library looks for its files.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def place() -> str:
    """Return what distinguishes this process from all others of its worker.

    That is its place in the pool, or the name of the worker's own process, or of a beat in it.
    """
    process = current_process()
    return str(getattr(process, "index", process.name))


def share() -> Path:
    """Let all figures that are made from now on be shared by this process and its children.

    Returns:
        The folder of the figures, which is deleted when the process ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="metrics-"))
    os.environ[FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(place)  # type: ignore[no-untyped-call]
    owner = os.getpid()

    def delete() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(delete)
    return folder


def sum_of(folder: Path) -> CollectorRegistry:
    """Return a registry with the sums of what the processes have written to a folder."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return registry
