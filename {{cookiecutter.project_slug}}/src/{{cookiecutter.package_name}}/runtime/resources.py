"""Resources of a process, such as connections: opened on first use, never shared by a fork.

Two processes that share a connection across a fork read each other's answers. So nothing is opened
at import, and child processes do not see what their parent has opened.
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
    """A resource of which every process has its own; call it to get that of this process.

    Args:
        make: Opens the resource.
        close: Closes the resource when the process ends.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], object]) -> None:
        self._make = make
        self._close = close
        self._lock = threading.Lock()
        self._opened: list[T] = []
        self._inherited: list[T] = []
        _resources.append(self)

    def __call__(self) -> T:
        """Return the resource; open it if this process has not done so yet."""
        if not self._opened:
            with self._lock:
                if not self._opened:
                    self._opened.append(self._make())
        return self._opened[0]

    def close(self) -> None:
        """Close the resource if it is open; the next call opens it again."""
        with self._lock:
            opened, self._opened = self._opened, []
        for value in opened:
            self._close(value)

    def forget(self) -> None:
        """Start without the parent's resource after a fork."""
        # Keep a reference: the garbage collector would close it, and the parent's connection too.
        self._inherited += self._opened
        self._opened = []
        self._lock = threading.Lock()  # another thread of the parent may have held it


def close_all(**_: Any) -> None:
    """Close all resources of this process, the last created first."""
    for resource in reversed(_resources):
        try:
            resource.close()
        except Exception:
            logger.exception("Could not close %r", resource)


def forget_all() -> None:
    """Start without any resources after a fork."""
    for resource in _resources:
        resource.forget()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=forget_all)
worker_process_shutdown.connect(close_all)  # children of the prefork pool run no exit handlers
atexit.register(close_all)
