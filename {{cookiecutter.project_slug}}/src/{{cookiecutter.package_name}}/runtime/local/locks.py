"""Locks of files, which the kernel releases however their holders end."""

from __future__ import annotations

from contextlib import suppress
from typing import IO


def locked(file: IO[bytes], *, exclusive: bool, wait: bool) -> bool:
    """Lock a file, and return whether that was possible.

    Processes that inherit the open file hold the lock as well, until the last of them ends.
    """
    import fcntl  # which Windows does not have

    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    with suppress(BlockingIOError):
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
        return True
    return False


def unlock(file: IO[bytes]) -> None:
    """Give up a lock."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_UN)
