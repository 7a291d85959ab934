"""A Redis in memory, and a real one of a test run's own."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from fakeredis import FakeRedis
from kombu import Queue

from ..local import server
from ..testing.servers import Server, accepts, free_port, needed, wait_until
from . import store


def program() -> str:
    """Return the server to run: the Redis that is installed, else that of `make dev`."""
    if which("redis-server") is None:
        with suppress(server.ServerError):
            return server.program().path
    return needed("redis-server")


class RedisServer(Server):
    """A Redis, as a broker or for results."""

    @contextmanager
    def run(self, folder: Path, root: Path) -> Iterator[str]:
        """Run one that writes nothing to the disk."""
        binary, port = program(), free_port()
        options = {"port": port, "bind": "127.0.0.1", "dir": folder, "save": ""}
        arguments = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        with subprocess.Popen(  # noqa: S603
            [binary, *arguments], stdout=subprocess.DEVNULL
        ) as process:
            try:
                wait_until(lambda: accepts(port))
                yield f"redis://127.0.0.1:{port}/0"
            finally:
                process.terminate()

    def isolated(self, url: str, queues: Sequence[Queue], lease: float) -> dict[str, Any]:
        """Return settings that give all keys a prefix of their own."""
        options = {
            "visibility_timeout": lease,
            "unacked_restore_interval": 0.5,
            "global_keyprefix": f"test-{uuid.uuid4()}-",
        }
        return {"broker_url": url, "broker_transport_options": options}


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRedis]:
    """Keep the project's state in a Redis in memory, which is empty."""
    with FakeRedis() as client:
        client.flushall()
        monkeypatch.setattr(store, "client", lambda: client)
        yield client
