"""Files that tasks write. A result holds the pointer to a file, never the file itself.

Their location is any URL that fsspec supports: a folder, `s3://`, `gs://`, `memory://`
(https://filesystem-spec.readthedocs.io/en/latest/api.html#other-known-implementations).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import IO, Any
from uuid import uuid4

from fsspec.core import url_to_fs
from fsspec.implementations.dirfs import DirFileSystem

from .runtime.errors import PermanentError
from .settings import settings

#: Text is UTF-8, and its line endings are kept.
TEXT = {"encoding": "utf-8", "newline": ""}


def store() -> DirFileSystem:
    """Return the file system below `APP_ARTIFACTS_URL`."""
    filesystem, path = url_to_fs(settings().artifacts_url)
    return DirFileSystem(path, filesystem)


def checked(pointer: str) -> str:
    """Return the pointer if it stays inside the store.

    Raises:
        PermanentError: It is absolute, or leads out of the store.
    """
    path = PurePosixPath(pointer)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise PermanentError(f"pointer {pointer!r} leads out of the store: use a relative path")
    return path.as_posix()


@contextmanager
def create(pointer: str, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a new file, which appears, complete, when the block ends without an error.

    Args:
        pointer: The pointer to the file; an existing file is replaced.
        mode: `wb`, or `w` for text.
    """
    place, path = store(), checked(pointer)
    aside = f"{path}.{uuid4().hex}.part"
    place.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
    try:
        with place.open(aside, mode, **({} if "b" in mode else TEXT)) as file:
            yield file
        place.mv(aside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            place.rm_file(aside)
        raise


def save(pointer: str, data: bytes) -> str:
    """Write a file in one step, and return its pointer."""
    with create(pointer) as file:
        file.write(data)
    return checked(pointer)


def open_binary(pointer: str, mode: str = "rb", **options: str) -> IO[Any]:
    """Open a file for reading.

    Raises:
        PermanentError: There is no such file.
    """
    try:
        file: IO[Any] = store().open(checked(pointer), mode, **options)
    except FileNotFoundError:
        raise PermanentError(f"there is no artifact {pointer!r}") from None
    return file


def open_text(pointer: str) -> IO[str]:
    """Open a text file for reading; it raises the same errors as `open_binary`."""
    return open_binary(pointer, "r", **TEXT)


def exists(pointer: str) -> bool:
    """Whether a file exists."""
    return bool(store().exists(checked(pointer)))


def remove(pointer: str) -> None:
    """Delete a file, or a folder with everything in it, if it exists."""
    with suppress(FileNotFoundError):
        store().rm(checked(pointer), recursive=True)


def purge(older_than: timedelta) -> int:
    """Delete files that are older, and return how many there were."""
    place, oldest, purged = store(), datetime.now(UTC) - older_than, 0
    if not place.exists(""):
        return 0
    for path in place.find(""):
        if place.modified(path) < oldest:
            place.rm_file(path)
            purged += 1
    return purged
