"""Files that tasks produce. A result carries the pointer to a file, never the file itself.

The place is a URL that fsspec understands: a folder, `s3://`, `gs://`, `memory://`
(https://filesystem-spec.readthedocs.io/en/latest/api.html#other-known-implementations).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import IO

from fsspec.core import url_to_fs
from fsspec.implementations.dirfs import DirFileSystem

from .settings import settings
from .tasks.base import PermanentError


def store() -> DirFileSystem:
    """Return the file system below `APP_ARTIFACTS_URL`."""
    filesystem, path = url_to_fs(settings().artifacts_url)
    return DirFileSystem(path, filesystem)


def checked(pointer: str) -> str:
    """Return a pointer that stays inside the store.

    Raises:
        PermanentError: It is absolute or climbs out.
    """
    path = PurePosixPath(pointer)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise PermanentError(f"pointer {pointer!r} leads out of the store: use a relative path")
    return path.as_posix()


def save(pointer: str, data: bytes) -> str:
    """Write a file in one step and return its pointer."""
    place, path = store(), checked(pointer)
    place.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
    place.pipe_file(path, data)
    return path


def open_text(pointer: str) -> IO[str]:
    """Open a file for reading.

    Raises:
        PermanentError: There is no such file.
    """
    try:
        file: IO[str] = store().open(checked(pointer), "r", encoding="utf-8", newline="")
    except FileNotFoundError:
        raise PermanentError(f"there is no artifact {pointer!r}") from None
    return file


def purge(older_than: timedelta) -> int:
    """Delete the files that are older and return how many there were."""
    place, oldest, purged = store(), datetime.now(UTC) - older_than, 0
    if not place.exists(""):
        return 0
    for path in place.find(""):
        if place.modified(path) < oldest:
            place.rm_file(path)
            purged += 1
    return purged
