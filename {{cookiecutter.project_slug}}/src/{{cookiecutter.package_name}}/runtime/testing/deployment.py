"""What the files of a project start, wherever they deploy it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

#: How each kind of file says how long a worker has to stop, in seconds.
GRACE = re.compile(
    r"(?m)(?:stop_grace_period|TimeoutStopSec|stopwaitsecs|terminationGracePeriodSeconds)"
    r"[:=] ?(\d+)s?$"
)

#: A worker's command, however it is split into parts.
WORKER = re.compile(r"worker --hostname (\w+)@%h --queues ([\w,-]+) --pool (\S+) --concurrency")

#: A variable that is set, or read.
VARIABLE = re.compile(
    r"(?m)^\s*(?:- )?(?:name: )?([A-Z]+(?:_[A-Z]+)+)(?:=|:|$)|\$\{?([A-Z]+(?:_[A-Z]+)+)"
    r"|Environment=([A-Z]+(?:_[A-Z]+)+)="
)

#: Variables of servers and tools.
NOT_OURS = re.compile("POSTGRES_(?!PASSWORD)|RABBITMQ_(?!PASSWORD)|REDISCLI_|KEDA_|GF_")


def read(root: Path) -> dict[str, str]:
    """Return all that starts processes: the text of a file, or of a folder in `deploy`, by name."""
    texts: dict[str, str] = defaultdict(str)
    files = [root / "Procfile", *root.glob("compose*"), *(root / "deploy").rglob("*")]
    for path in sorted(file for file in files if file.is_file()):
        name = "/".join(path.relative_to(root).parts[:2])
        texts[name] += path.read_text(encoding="utf-8") + "\n"
    return texts


def workers(text: str) -> dict[str, list[str]]:
    """Return the workers that a text starts, and the queues that each consumes."""
    words = re.sub(r"\s+(?:- )?", " ", re.sub("[\"']|,(?=\\s)", "", text)).replace("%%", "%")
    return {name: names.split(",") for name, names, _ in WORKER.findall(words)}


def grace(text: str) -> set[int]:
    """Return the seconds that a text gives workers to stop."""
    return set(map(int, GRACE.findall(text)))


def variables(text: str) -> set[str]:
    """Return the variables of the project that a text sets or reads."""
    names = {"".join(groups) for groups in VARIABLE.findall(text)}
    return {name for name in names if not NOT_OURS.match(name)}


def explained(root: Path) -> set[str]:
    """Return the variables that the example of the environment has."""
    example = (root / ".env.example").read_text(encoding="utf-8")
    return set(re.findall(r"(?m)^(?:# )?([A-Z_]+)=", example))
