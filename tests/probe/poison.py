"""A module for workers to load beside the project's own: tasks that do harm, and record each run."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from celery import current_app, shared_task  # type: ignore[import-not-found,import-untyped,unused-ignore]
from celery.exceptions import SoftTimeLimitExceeded  # type: ignore[import-not-found,import-untyped,unused-ignore]

from probe import record

BASE: Any = import_module(f"{current_app.main}.runtime.tasks.base")


def kill_child(self: Any) -> None:
    """Kill the process that runs it."""
    record("run", self)
    os.kill(os.getpid(), signal.SIGKILL)


def kill_worker(self: Any) -> None:
    """Kill the worker, and all of its children."""
    record("run", self)
    os.killpg(os.getpgrp(), signal.SIGKILL)
    time.sleep(60)


def die_in_every_way(self: Any) -> None:
    """Kill the process, then fail once, then kill the worker, then the process."""
    record("run", self)
    crashes = (self.request.headers or {}).get("x-crashes", 0)
    if crashes == 1 and not self.request.retries:
        raise BASE.TransientError("on purpose")
    os.kill(os.getppid() if crashes == 1 else os.getpid(), signal.SIGKILL)
    time.sleep(60)


def outgrow(self: Any) -> None:
    """Take all memory that there is."""
    record("run", self)
    hoard = []
    while True:
        hoard.append(b"x" * 2**24)


def outlast(self: Any) -> None:
    """Run longer than allowed, and ignore the soft time limit."""
    record("run", self)
    for _ in range(60):
        with suppress(SoftTimeLimitExceeded):
            time.sleep(1)


def fail_until(self: Any, path: str, *_: object, **__: object) -> None:
    """Fail until a file is there."""
    record("run", self)
    if not Path(path).exists():
        raise LookupError(f"there is no {path}")


def fail_when(self: Any, path: str) -> None:
    """Fail as soon as a file is there."""
    record("run", self)
    while not Path(path).exists():
        time.sleep(0.05)
    raise LookupError("on purpose")


def once(self: Any, path: str, seconds: float) -> None:
    """Run for a while; kill the worker if a file is there."""
    record("run", self)
    if Path(path).exists():
        Path(path).unlink()
        os.killpg(os.getpgrp(), signal.SIGKILL)
    time.sleep(seconds)


def ask_for_too_much(self: Any) -> bytes:
    """Ask for more memory than any machine has."""
    record("run", self)
    return b"x" * 2**62


task: Any = shared_task
task(name="poison.ask_for_too_much", bind=True)(ask_for_too_much)
task(name="poison.kill_child", bind=True, default_retry_delay=0.1)(kill_child)
task(name="poison.die_in_every_way", bind=True, default_retry_delay=0.1, retry_backoff=False)(die_in_every_way)
task(name="poison.kill_worker", bind=True)(kill_worker)
task(name="poison.outgrow", bind=True, default_retry_delay=0.1)(outgrow)
task(name="poison.outlast", bind=True, time_limit=3, soft_time_limit=2)(outlast)
task(name="poison.fail_until", bind=True)(fail_until)
task(name="poison.fail_when", bind=True)(fail_when)
task(name="poison.once", bind=True, base=BASE.AtMostOnceTask)(once)
