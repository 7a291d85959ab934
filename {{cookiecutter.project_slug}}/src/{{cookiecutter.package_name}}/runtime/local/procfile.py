"""The processes of a project, as its Procfile lists them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

#: A line of a Procfile: a name and a command.
LINE = re.compile(r"(?m)^([\w-]+): (.+)$")

#: The line that a process writes when it is ready.
READY = re.compile(r" ready\.|beat: Starting|Uvicorn running|Listening at|Visit me at")

#: A variable of the shell with a default.
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")

#: The address that a command listens on, in one option or in two.
ADDRESS = re.compile(r"--(?:bind|host) (?P<host>[^\s:]+)(?::| --port )(?P<port>\d+)")


class Address(NamedTuple):
    """Where a process listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL for a browser on this machine."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}/"  # noqa: S104


def read(path: Path) -> dict[str, str]:
    """Return the commands of a Procfile by the names of the processes."""
    return dict(LINE.findall(path.read_text(encoding="utf-8")))


def is_worker(command: str) -> bool:
    """Whether a command runs a worker."""
    return " worker " in command


def address(command: str) -> Address | None:
    """Return where a command listens, or None if it does not."""
    text = VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[2], command)
    found = ADDRESS.search(text)
    return Address(found["host"], int(found["port"])) if found else None
