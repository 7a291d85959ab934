"""Faults, and a load of tasks that counts what they lose.

Servers that keep their data when they are killed, a proxy that cuts connections or swallows what
passes, and a load of numbered tasks, each of which leaves a line in a file.
"""

from __future__ import annotations

import os
import random
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from servers import Fleet, accepts, free_port, kill_group, needed, quick_folder, speaks_amqp, wait_until


class Server:
    """A server that can be killed and started again on its port, with its data."""

    def __init__(self, port: int, command: list[str], ready: Callable[[int], bool], **popen: Any) -> None:
        self.port, self.command, self.ready, self.popen = port, command, ready, popen
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; if it does not, fail with what it printed."""
        with tempfile.TemporaryFile() as output:
            self.process = process = subprocess.Popen(
                self.command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **self.popen
            )

            def printed() -> str:
                output.seek(0)
                return output.read().decode(errors="replace")

            def answers() -> bool:
                assert process.poll() is None, f"{self.command[0]} ended with {process.returncode}:\n{printed()}"
                return self.ready(self.port)

            wait_until(answers, f"{self.command[0]} answers", explain=printed)

    def control(self, *arguments: str) -> str:
        """Run `rabbitmqctl`, and return what it writes."""
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", *arguments]
        written: str = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", **self.popen).stdout
        return written

    def freeze(self, seconds: float) -> None:
        """Freeze it for a time."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        if self.process:
            kill_group(self.process.pid)
            self.process.wait()


@contextmanager
def durable_redis(*options: str) -> Iterator[Server]:
    """Run a Redis that syncs its append-only file before it acknowledges a write."""
    port = free_port()
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"]
    with quick_folder() as folder:
        command = [needed("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]
        server = Server(port, [*command, *options], accepts)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def sentinel(folder: Path, port: int, master: int, more: str = "") -> Iterator[None]:
    """Run a Redis Sentinel that soon replaces a master, named `main`."""
    config = folder / "sentinel.conf"
    lines = ("down-after-milliseconds main 1000", "failover-timeout main 5000")
    text = f"port {port}\nbind 127.0.0.1\ndir {folder}\n{more}sentinel monitor main 127.0.0.1 {master} 1\n"
    config.write_text(text + "".join(f"sentinel {line}\n" for line in lines), "utf-8")
    server = Server(port, [needed("redis-server"), str(config), "--sentinel"], accepts)
    try:
        server.start()
        yield
    finally:
        server.kill()


@contextmanager
def durable_rabbitmq(config: Path) -> Iterator[Server]:
    """Run a RabbitMQ; its quorum queues write a message to disk before they confirm it."""
    port, epmd_port = free_port(), free_port()
    with quick_folder() as folder:
        (folder / "plugins").write_text("[].\n", "utf-8")
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_NODENAME": f"test-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        epmd = Server(epmd_port, [needed("epmd"), "-port", str(epmd_port), "-address", "127.0.0.1"], accepts)
        epmd.popen["env"] = environment
        server = Server(port, [needed("rabbitmq-server")], speaks_amqp, env=environment)
        try:
            epmd.start()
            server.start()
            yield server
        finally:
            server.kill()
            epmd.kill()


class Proxy:
    """A TCP proxy to a port of this machine, whose connections can be cut, refused or swallowed."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        #: Swallow everything, answer nothing and close nothing, like a lost network.
        self.black_hole = threading.Event()
        self.cuts = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=1)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._pairs.append((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            with suppress(OSError, ValueError, KeyError):
                while True:
                    for key, _ in selector.select():
                        source: Any = key.fileobj
                        data = source.recv(65536)
                        if not data:
                            return self._close(client, server)
                        if not self.black_hole.is_set():
                            key.data.sendall(data)
        return self._close(client, server)

    def _close(self, *pair: socket.socket) -> None:
        for end in pair:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        with self._lock:
            self._pairs = [open_ for open_ in self._pairs if open_ != pair]

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            pairs = list(self._pairs)
        self.cuts += len(pairs)
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop."""
        self.listener.close()
        self.cut()


#: Numbers from here on belong to tasks that must not run twice, which are one in ten.
ONCE = 1_000_000


@dataclass
class Load:
    """Numbered tasks, and the effects that they left.

    Args:
        fleet: Where they run.
        accepted: The numbers that a publisher was told are sent.
        stop: Set to send no more.
    """

    fleet: Fleet
    accepted: set[int] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def lines(self) -> list[list[int]]:
        """Return number and worker of each effect, in their order."""
        effects = self.fleet.cwd / "effects"
        complete, _, _ = (effects.read_text("utf-8") if effects.exists() else "").rpartition("\n")
        return [[int(word) for word in line.split()] for line in complete.splitlines()]

    def runs(self) -> Counter[int]:
        """Return how often each task has run."""
        return Counter(number for number, _ in self.lines())

    def letters(self) -> set[int]:
        """Return the numbers of the dead letters."""
        return {letter["args"][0] for letter in self.fleet.ask("letters")}

    def send(self, first: int, last: int, seconds: float = 0) -> None:
        """Send the tasks of a range of numbers."""
        for name, low, high in (
            ("effects.effect", first, last),
            ("effects.once", ONCE + first // 10, ONCE + last // 10),
        ):
            refused = self.fleet.ask("send_numbered", name, low, high, seconds)
            self.accepted |= set(range(low, high)).difference(refused)

    def missing(self) -> set[int]:
        """Return the accepted tasks that have neither run nor become a dead letter."""
        missing = self.accepted - set(self.runs())
        return missing - self.letters() if missing else missing

    def finish(self, timeout: float = 60) -> None:
        """Wait until all have run, or until nothing has happened for some time."""
        seen, deadline = -1, time.monotonic() + timeout
        while self.missing() and time.monotonic() < deadline:
            if (count := sum(self.runs().values())) != seen:
                seen, deadline = count, time.monotonic() + timeout
            time.sleep(0.3)

    @property
    def at_least_once(self) -> set[int]:
        """The accepted tasks that run at least once; the others run at most once."""
        return {number for number in self.accepted if number < ONCE}

    def rows(self, scenario: str) -> list[Row]:
        """Return the rows of the table."""
        runs, letters, first = self.runs(), self.letters(), self.at_least_once
        kinds = {scenario: first, f"{scenario}, at most once": self.accepted - first}
        return [
            Row(
                name,
                len(accepted),
                sum(1 for number in accepted if runs[number]),
                sum(1 for number in accepted if runs[number] > 1),
                len(accepted & letters),
                sum(1 for number in accepted - letters if not runs[number]),
            )
            for name, accepted in kinds.items()
        ]


class Row(NamedTuple):
    """The outcome of a scenario's tasks."""

    scenario: str
    accepted: int
    done: int
    twice: int
    letters: int
    lost: int


COLUMNS = ("scenario", "accepted", "done", "more than once", "dead letters", "lost")


def table_row(first: object, *others: object) -> str:
    """Return a row of the table of faults."""
    return f"{first!s:<60}" + "".join(f"{cell!s:>16}" for cell in others)


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    return []


def kill_a_child(fleet: Fleet, *workers: str) -> bool:
    """Kill a process of the pool of one of the workers."""
    found = [child for name in workers for child in children(fleet.processes[name].pid)]
    if not found:
        return False
    with suppress(ProcessLookupError):
        os.kill(random.choice(found), signal.SIGKILL)  # noqa: S311
    return True
