"""Files that tasks write. A result holds the pointer to a file, never the file itself.

Their location is any URL that fsspec supports: a folder, `s3://`, `gs://`, `memory://`
(https://filesystem-spec.readthedocs.io/en/latest/api.html#other-known-implementations).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from pydantic import AfterValidator

from .errors import PermanentError

if TYPE_CHECKING:
    from fsspec.implementations.dirfs import DirFileSystem

#: Text is UTF-8, and its line endings are kept.
TEXT = {"encoding": "utf-8", "newline": ""}


def is_place(url: str) -> str:
    """Refuse a URL that fsspec cannot use."""
    import fsspec  # which a process that only publishes does without

    try:
        fsspec.get_filesystem_class(fsspec.utils.get_protocol(url))
        is_absolute = "://" in url or Path(url).is_absolute()
    except (ValueError, ImportError):
        is_absolute = False
    if not is_absolute:
        raise ValueError(
            "fsspec cannot use it, or its library is not installed: use a URL such as"
            " file:///PATH/TO/FOLDER, or s3://BUCKET/PREFIX with s3fs installed"
        )
    return url


#: The type of a setting that names the place.
ArtifactsURL = Annotated[str, AfterValidator(is_place)]


def checked(pointer: str) -> str:
    """Return the pointer if it stays inside the store.

    Raises:
        PermanentError: It is absolute, or leads out of the store.
    """
    path = PurePosixPath(pointer)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise PermanentError(f"pointer {pointer!r} leads out of the store: use a relative path")
    return path.as_posix()


class Artifacts:
    """The files below a URL.

    Args:
        url: Returns it, when a file is looked for.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self.url = url

    def store(self) -> DirFileSystem:
        """Return the file system below the URL."""
        from fsspec.core import url_to_fs
        from fsspec.implementations.dirfs import DirFileSystem

        filesystem, path = url_to_fs(self.url())
        return DirFileSystem(path, filesystem)

    @contextmanager
    def create(self, pointer: str, mode: str = "wb") -> Iterator[IO[Any]]:
        """Open a new file, which appears, complete, when the block ends without an error.

        Args:
            pointer: The pointer to the file; an existing file is replaced.
            mode: `wb`, or `w` for text.
        """
        place, path = self.store(), checked(pointer)
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

    def save(self, pointer: str, data: bytes) -> str:
        """Write a file in one step, and return its pointer."""
        with self.create(pointer) as file:
            file.write(data)
        return checked(pointer)

    def open_binary(self, pointer: str, mode: str = "rb", **options: str) -> IO[Any]:
        """Open a file for reading.

        Raises:
            PermanentError: There is no such file.
        """
        try:
            file: IO[Any] = self.store().open(checked(pointer), mode, **options)
        except FileNotFoundError:
            raise PermanentError(f"there is no artifact {pointer!r}") from None
        return file

    def open_text(self, pointer: str) -> IO[str]:
        """Open a text file for reading; it raises the same errors as `open_binary`."""
        return self.open_binary(pointer, "r", **TEXT)

    def exists(self, pointer: str) -> bool:
        """Whether a file exists."""
        return bool(self.store().exists(checked(pointer)))

    def remove(self, pointer: str) -> None:
        """Delete a file, or a folder with everything in it, if it exists."""
        with suppress(FileNotFoundError):
            self.store().rm(checked(pointer), recursive=True)

    def purge(self, older_than: timedelta) -> int:
        """Delete files that are older, and return how many there were."""
        place, oldest, purged = self.store(), datetime.now(UTC) - older_than, 0
        if not place.exists(""):
            return 0
        for path in place.find(""):
            if place.modified(path) < oldest:
                place.rm_file(path)
                purged += 1
        return purged
