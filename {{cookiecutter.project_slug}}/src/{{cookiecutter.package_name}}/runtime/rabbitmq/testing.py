"""A real RabbitMQ of a test run's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu import Connection, Queue
from kombu.transport.native_delayed_delivery import MAX_LEVEL, level_name

from ..testing.servers import Server, accepts, free_port, needed, wait_until
from .queues import DEAD_LETTERS
from .topology import declare


class RabbitMQServer(Server):
    """A RabbitMQ with the configuration of the project."""

    # RabbitMQ sends heartbeats twice as often. Below 4 seconds a greenlet worker would not stop: it
    # only checks whether it should when nothing came for 2 (celery/worker/loops.py, `synloop`).
    lease = 6.0

    @contextmanager
    def run(self, folder: Path, root: Path) -> Iterator[str]:
        """Run one under a name of its own, with an epmd of its own."""
        binary, port, epmd_port = needed("rabbitmq-server"), free_port(), free_port()
        (folder / "plugins").write_text("[].\n", encoding="utf-8")
        environment = {
            **os.environ,
            "HOME": str(folder),  # the Erlang cookie
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_CONFIG_FILE": str(root / "deploy" / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(folder),
            "RABBITMQ_NODENAME": f"test-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        # Start the daemon that names Erlang's nodes here, so that it ends with the tests.
        epmd = [needed("epmd"), "-port", str(epmd_port), "-address", "127.0.0.1"]
        with (
            (folder / "output").open("wb") as output,
            subprocess.Popen(epmd, env=environment) as names,  # noqa: S603
        ):
            try:
                wait_until(lambda: accepts(epmd_port))
                with subprocess.Popen(  # noqa: S603
                    [binary], env=environment, stdout=output, process_group=0
                ) as server:
                    try:
                        wait_until(lambda: speaks_amqp(port), timeout=60)
                        yield f"amqp://guest:guest@127.0.0.1:{port}//"
                    finally:
                        os.killpg(server.pid, signal.SIGKILL)
            finally:
                names.kill()

    def isolated(self, url: str, queues: Sequence[Queue], lease: float) -> dict[str, Any]:
        """Empty all queues that the project knows. Workers send a heartbeat within the lease."""
        with Connection(url) as connection, connection.channel() as channel:
            declare(connection, queues)
            delayed = [level_name(level) for level in range(MAX_LEVEL + 1)]
            for name in [*(queue.name for queue in queues), DEAD_LETTERS, *delayed]:
                Queue(name)(channel).purge()
        return {"broker_url": url, "broker_heartbeat": lease}


def speaks_amqp(port: int) -> bool:
    """Return whether a server answers the header of AMQP 0-9-1."""
    with socket.socket() as client:
        client.settimeout(1)
        try:
            client.connect(("127.0.0.1", port))
            client.sendall(b"AMQP\0\0\x09\x01")
            return bool(client.recv(1))
        except OSError:
            return False
