"""Whether the web process is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar


def never() -> bool:
    """Return that this process is not told to stop."""
    return False


class Stopping:
    """Whether this process is told to stop; then streams end, and clients connect to another one.

    A server waits for open connections before it tells its app that it stops, so something of the
    server's has to say it.
    """

    is_told: ClassVar[Callable[[], bool]] = staticmethod(never)
