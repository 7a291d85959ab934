"""Which processes of a project run on this machine, and where they listen.

Each keeps a locked file open. One that outlives `make dev`, because that was killed, holds its lock
as long as it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from ..config.environment import LOCAL_FOLDER, make_folder
from .locks import locked

FOLDER = LOCAL_FOLDER / "processes"


class RunsError(Exception):
    """A process runs already; the message says which, and what to do."""


def opened(name: str) -> IO[bytes]:
    """Open the file of a process."""
    make_folder(LOCAL_FOLDER)
    FOLDER.mkdir(exist_ok=True)
    return (FOLDER / name).open("a+b")


def is_running(name: str) -> bool:
    """Whether a process runs."""
    with opened(name) as file:
        return not locked(file, exclusive=True, wait=False)


@contextmanager
def claimed(names: Iterable[str]) -> Iterator[dict[str, IO[bytes]]]:
    """Claim processes for as long as this block, and whoever inherits the files, runs.

    Raises:
        RunsError: One of them runs already.
    """
    with ExitStack() as stack:
        files = {name: stack.enter_context(opened(name)) for name in names}
        for name, file in files.items():
            if not locked(file, exclusive=True, wait=False):
                raise RunsError(f"{name} runs already: end the make dev that has started it")
        try:
            yield files
        finally:
            for file in files.values():
                file.truncate(0)


def tell(file: IO[bytes], url: str) -> None:
    """Say where the process of a file listens."""
    file.truncate(0)
    file.write(url.encode())
    file.flush()


def address(name: str, default: str) -> str:
    """Return the URL of a process of `make dev`, or the default if there is none."""
    try:
        return (FOLDER / name).read_text(encoding="utf-8") or default
    except OSError:
        return default
