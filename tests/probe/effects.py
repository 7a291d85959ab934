"""Tasks for tests that count: each appends its number to a file, in one write, and takes no time.

Each has a line: the number, and the group of the process, by which a test knows the worker.
"""

from __future__ import annotations

import os
import time
from functools import cache
from importlib import import_module
from typing import Any

from celery import current_app, shared_task  # type: ignore[import-not-found,import-untyped,unused-ignore]

BASE: Any = import_module(f"{current_app.main}.runtime.tasks.base")


@cache
def effects(process: int) -> int:
    """Return the file of effects, opened once by each process."""
    return os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def effect(number: int, seconds: float = 0) -> None:
    """Have an effect. Then take some time."""
    os.write(effects(os.getpid()), b"%d %d\n" % (number, os.getpgrp()))
    if seconds:
        time.sleep(seconds)


def once(number: int, seconds: float = 0) -> None:
    """Have an effect that nobody must have twice."""
    effect(number, seconds)


def length(text: str) -> None:
    """Have an effect whose number is the length of an argument."""
    effect(len(text))


task: Any = shared_task
# Start a task whose worker was killed again sooner than usual, so that tests need not wait.
task(name="effects.effect", default_retry_delay=1)(effect)
task(name="effects.patient")(effect)
task(name="effects.once", base=BASE.AtMostOnceTask)(once)
task(name="effects.length")(length)
