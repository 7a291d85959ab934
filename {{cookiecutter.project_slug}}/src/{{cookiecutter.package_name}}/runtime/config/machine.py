"""A developer's machine: the server that takes the place of those that no URL names.

`local/server.py` runs it, for `make dev`. It speaks the protocol of Redis over a socket whose path
depends on nothing but the folder of the project, so every process that is started in this folder
finds it.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import tempfile
from pathlib import Path

from .environment import LOCAL_FOLDER

#: Where the server keeps its data.
FOLDER = LOCAL_FOLDER / "redis"

#: The numbers of its databases.
QUEUES, RESULTS = 0, 1

#: What a publisher is told while the server does not run.
NOT_RUNNING = "the server of this project does not run: run make dev, or set CELERY_BROKER_URL"

#: The longest path of a socket in bytes: Linux allows 107, macOS 103.
LONGEST = 100

#: Paths that a URL can hold as they are.
PLAIN = re.compile(r"[A-Za-z0-9/._~-]+")


def has_sockets() -> bool:
    """Whether Python can use such a socket here; on Windows it cannot."""
    return hasattr(socket, "AF_UNIX")


def usable(path: Path) -> bool:
    """Whether a socket may have a path, and a URL may name it."""
    return len(os.fsencode(path)) <= LONGEST and PLAIN.fullmatch(path.as_posix()) is not None


def socket_path() -> Path:
    """Return the path of the server's socket: in the project, or else under a temporary folder."""
    own = FOLDER.absolute() / "socket"
    if usable(own):
        return own
    name = f"celery-{hashlib.sha256(os.fsencode(own)).hexdigest()[:16]}"
    place = Path(tempfile.gettempdir()) / name / "socket"
    return place if usable(place) else Path("/tmp") / name / "socket"  # noqa: S108


def url(database: int) -> str:
    """Return the URL of one of the server's databases."""
    return f"redis+socket://{socket_path().as_posix()}?virtual_host={database}"


def is_meant(error: Exception) -> bool:
    """Whether an error is about the server of this machine, and not about another one."""
    return socket_path().as_posix() in str(error)


def is_own(value: object) -> bool:
    """Whether a URL is one of this server."""
    return value in {url(QUEUES), url(RESULTS)}
