"""Noticing that the code has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

SOURCE = Path("src")


def fault(path: Path) -> str | None:
    """Return why a file with Python cannot be compiled, or None."""
    try:
        compile(path.read_bytes(), str(path), "exec")
    except OSError:  # it was deleted
        return None
    except SyntaxError as error:
        return f"{path}:{error.lineno}: {error.msg}"
    except ValueError as error:
        return f"{path}: {error}"
    return None


def report(paths: list[Path], on_change: Callable[[list[str], str | None], None]) -> None:
    """Report changes, with the first fault in them; editors also write files that soon vanish."""
    paths = [path for path in paths if path.exists()] or paths
    faults = (fault(path) for path in paths if path.suffix == ".py")
    on_change([str(path) for path in paths], next(filter(None, faults), None))


def watch(on_change: Callable[[list[str], str | None], None]) -> bool:
    """Call a function, in another thread, whenever files of the code have changed.

    Returns:
        Whether that is possible, which needs watchfiles.
    """
    try:
        from watchfiles import watch as changes
    except ImportError:
        return False

    def wait() -> None:
        for found in changes(SOURCE, raise_interrupt=False):
            report(sorted(Path(os.path.relpath(path)) for _, path in found), on_change)

    Thread(target=wait, daemon=True).start()
    return True
