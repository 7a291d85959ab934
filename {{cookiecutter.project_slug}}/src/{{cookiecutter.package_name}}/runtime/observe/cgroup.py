"""The memory that the control group of a process uses, and may use: what a container is given.

https://docs.kernel.org/admin-guide/cgroup-v2.html#memory and, for older systems,
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

#: A limit that nobody has set is a word or, in version 1, a number near the largest.
NO_LIMIT = 2**60


class Version(NamedTuple):
    """Where a version of control groups keeps what."""

    folder: str
    limit: str
    used: str
    cache: str


VERSION_1 = Version(
    "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)
VERSION_2 = Version("", "memory.max", "memory.current", "inactive_file")


class Memory(NamedTuple):
    """The memory of a control group in bytes."""

    #: Without the files that the kernel would forget first, as Kubernetes counts it.
    used: int
    limit: int


def memory(root: Path = Path("/")) -> Memory | None:
    """Return the memory of the nearest control group around this process that has a limit.

    Args:
        root: Where the folders `proc` and `sys` are.

    Returns:
        Nothing if no group has a limit, or if the system has no control groups.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        version = {"memory": VERSION_1, "": VERSION_2}.get(controllers)
        if version:
            top = root / "sys/fs/cgroup" / version.folder
            group = top / path.lstrip("/")
            # In a container, the path may be that of the machine, where the container is the top.
            for folder in (group, *group.parents):
                if found := memory_of(folder, version):
                    return found
                if folder == top:
                    break
    return None


def memory_of(group: Path, version: Version) -> Memory | None:
    """Return the memory of a control group, if it has a limit."""
    try:
        limit = (group / version.limit).read_text("utf-8").strip()
        if not limit.isdigit() or int(limit) >= NO_LIMIT:
            return None
        used = int((group / version.used).read_text("utf-8"))
        stat = dict(
            line.split() for line in (group / "memory.stat").read_text("utf-8").splitlines()
        )
    except OSError:
        return None
    return Memory(max(0, used - int(stat.get(version.cache, 0))), int(limit))
