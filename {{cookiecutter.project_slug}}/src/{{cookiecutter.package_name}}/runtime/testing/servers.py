"""Servers that a test run starts, and what it takes to do so."""

from __future__ import annotations

import os
import random
import shutil
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
from kombu import Queue

#: Ports below those that Linux gives to outgoing connections: one of these could be taken before
#: the server for which it was chosen has started.
PORTS = range(15000, 32768)

#: Tests of other processes look for ports too, before a server listens on this one. The UDP port of
#: the same number shows that it is taken.
_claims: list[socket.socket] = []


class Server(ABC):
    """A kind of server."""

    #: Seconds after which the tasks of a dead worker run elsewhere: short, as tests wait for it.
    lease = 3.0

    @abstractmethod
    def run(self, folder: Path, root: Path) -> AbstractContextManager[str]:
        """Run a server of this test run's own, and yield its URL.

        Args:
            folder: Where it writes.
            root: The folder of the project.
        """

    @abstractmethod
    def isolated(self, url: str, queues: Sequence[Queue], lease: float) -> dict[str, Any]:
        """Return settings for queues that hold nothing, on a server that is a broker.

        Args:
            url: The server's URL.
            queues: All queues of the project.
            lease: Seconds after which the tasks of a dead worker run elsewhere.
        """


def wait_until(condition: Callable[[], object], timeout: float = 120) -> None:
    """Wait for a condition, for a number of seconds, or fail."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("timed out")
        time.sleep(0.05)


def missing(what: str) -> NoReturn:
    """Say what a test needs: fail it where all servers have to be there, else skip it.

    They have to be in CI, and in `make integration`, which sets `CI` too.
    """
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def needed(program: str) -> str:
    """Return the path of a program that a test needs."""
    # Debian keeps a server that any user may start away from the PATH.
    path = shutil.which(program, path=f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}")
    if path is None:
        missing(f"{program} is missing: install it, or name a server in TEST_BROKER_URL")
    return path


def free_port() -> int:
    """Return a port of this machine that nothing uses, and that nothing else is given."""
    while True:
        port = random.choice(PORTS)  # noqa: S311
        claim = socket.socket(type=socket.SOCK_DGRAM)
        with suppress(OSError):
            claim.bind(("127.0.0.1", port))
            with socket.create_server(("127.0.0.1", port)):
                _claims.append(claim)
                return port
        claim.close()


def accepts(port: int) -> bool:
    """Return whether a server listens on a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
