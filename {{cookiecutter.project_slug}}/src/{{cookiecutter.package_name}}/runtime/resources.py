"""What a process owns, such as connections: opened by its first task that needs it, never shared.

A connection that crosses a fork is used by two processes, and each reads the other's answers. So
nothing is opened at import, and what a parent had opened does not exist for its children.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from celery.signals import worker_process_shutdown
from celery.utils.log import get_logger

T = TypeVar("T")

logger = get_logger(__name__)

_resources: list[PerProcess[Any]] = []


class PerProcess(Generic[T]):
    """A thing of which every process has one. Call it to get the one of this process.

    Args:
        make: Opens it.
        close: Closes it, when the process ends.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], object]) -> None:
        self._make = make
        self._close = close
        self._lock = threading.Lock()
        self._opened: list[T] = []
        self._inherited: list[T] = []
        _resources.append(self)

    def __call__(self) -> T:
        """Return it, opened if this process has none yet."""
        if not self._opened:
            with self._lock:
                if not self._opened:
                    self._opened.append(self._make())
        return self._opened[0]

    def close(self) -> None:
        """Close what this process has opened; the next call opens it anew."""
        with self._lock:
            opened, self._opened = self._opened, []
        for value in opened:
            self._close(value)

    def forget(self) -> None:
        """Leave what the parent opened to the parent, after a fork."""
        # Kept, since the garbage collector would close it, and with it the parent's connection.
        self._inherited += self._opened
        self._opened = []
        self._lock = threading.Lock()  # another thread of the parent may have held it


def close_all(**_: Any) -> None:
    """Close everything that this process has opened, the last made first."""
    for resource in reversed(_resources):
        try:
            resource.close()
        except Exception:
            logger.exception("Could not close %r", resource)


def forget_all() -> None:
    """Start with nothing after a fork."""
    for resource in _resources:
        resource.forget()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=forget_all)
worker_process_shutdown.connect(close_all)  # children of the prefork pool run no exit handlers
atexit.register(close_all)
