"""Figures that several processes share, so that a scrape of one of them shows their sum.

The library keeps the figures of each process in files
(https://prometheus.github.io/client_python/multiprocess/), by default under the id of the process:
with pools that replace their processes, there would be more and more of them. Here a new process
goes on with the files of one that has ended, so that no figure is lost and no file is added.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import IO

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector

from ..config.environment import make_folder
from ..local.locks import locked

#: Where the library looks for its files. Processes that are not forked from one share their
#: figures if it is set for all of them.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Place:
    """Tells which files of a folder are those of the process that asks.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owner: int | None = None
        self.number = ""
        self.file: IO[bytes] | None = None

    def __call__(self) -> str:
        """Return the lowest number that no other living process has."""
        if self.owner != os.getpid():
            self.owner, self.number = os.getpid(), self.take()
        return self.number

    def take(self) -> str:
        """Lock a number; the lock ends with the process, however that ends."""
        for number in count():
            file = (self.folder / f"{number}.lock").open("wb")
            if locked(file, exclusive=True, wait=False):
                break
            file.close()
        self.file = file  # which stays open
        return str(number)


def keep() -> None:
    """Keep all figures that are made from now on in memory, also where FOLDER is set for others."""
    values.ValueClass = values.MutexValue


def share() -> Path:
    """Let the figures that are made from now on be shared by this process and its children.

    Returns:
        The folder of the figures. If it is made here, it is deleted when the process ends.
    """
    given = os.environ.get(FOLDER)
    folder = Path(given or tempfile.mkdtemp(prefix="metrics-"))
    make_folder(folder)
    os.environ[FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(Place(folder))  # type: ignore[no-untyped-call]
    owner = os.getpid()

    def delete() -> None:
        if os.getpid() == owner and not given:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(delete)
    return folder


def sum_of(folder: Path) -> CollectorRegistry:
    """Return a registry with the sums of what the processes have written to a folder."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return registry
