"""A module for workers to load beside the project's own: it makes artifacts fail on demand.

`FAULT_PACKAGE` names the package of the project, `FAULTS` a folder. A file in it, `*.json`, holds a
pattern of pointers, an error class, and how often it is to be raised: an artifact that matches
fails when it is all but written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = os.environ["FAULT_PACKAGE"]
ARTIFACTS: Any = import_module(f"{PACKAGE}.artifacts").artifacts
ERRORS: Any = import_module(f"{PACKAGE}.runtime.errors")
CREATE = ARTIFACTS.create


@contextmanager
def create(pointer: str, mode: str = "wb") -> Iterator[Any]:
    """Open a file for writing, as the project does."""
    with CREATE(pointer, mode) as file:
        yield file
        for path in Path(os.environ["FAULTS"]).glob("*.json"):
            pattern, error, times = json.loads(path.read_text("utf-8"))
            if fnmatch(pointer, pattern) and any(first_to_make(path.with_suffix(f".{n}")) for n in range(times)):
                raise getattr(ERRORS, error)("on purpose")


def first_to_make(path: Path) -> bool:
    """Create a file unless another process has done so, so that each time is counted once."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


ARTIFACTS.create = create
