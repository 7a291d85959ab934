"""A module for workers to load beside the project's own: tasks that share state in the store.

It needs `probe.py`, which keeps the records.
"""

from __future__ import annotations

import os
import signal
import time
from importlib import import_module
from typing import Any

from celery import current_app, shared_task  # type: ignore[import-not-found,import-untyped,unused-ignore]

from probe import append

PACKAGE = current_app.main
IDEMPOTENCY: Any = import_module(f"{PACKAGE}.runtime.guards.idempotency")
RATES: Any = import_module(f"{PACKAGE}.runtime.guards.rates")
CIRCUIT: Any = import_module(f"{PACKAGE}.runtime.guards.circuit")
UNIQUE: Any = import_module(f"{PACKAGE}.runtime.guards.unique")
BASE: Any = import_module(f"{PACKAGE}.runtime.tasks.base")

#: Seconds after which another worker takes over from a silent one; the shared rate limit.
LEASE = 4
RATE = 50


def pay(key: str, seconds: float) -> str:
    """Have one effect for each key."""
    append({"event": "begun", "key": key})
    time.sleep(seconds)
    IDEMPOTENCY.still_mine()
    append({"event": "paid", "key": key})
    return key


def begin() -> None:
    """Record when it may start."""
    append({"event": "allowed", "time": time.time()})


def fail() -> None:
    """Call a server that is down."""

    def serve() -> None:
        append({"event": "called"})
        raise BASE.TransientError("on purpose")

    CIRCUIT.Circuit("probe", failures=3, pause=600).call(serve)


def rebuild(name: str, lethal: bool) -> None:
    """Record that it runs, and perhaps kill its process."""
    append({"event": "rebuilt", "lethal": lethal})
    if lethal:
        os.kill(os.getpid(), signal.SIGKILL)


def send_rebuild(name: str, lethal: bool) -> None:
    """Send a unique task as a project does."""
    append({"event": "sent", "id": REBUILD.delay(name, lethal).id})


task: Any = shared_task
task(base=BASE.BaseTask, name="once.pay")(IDEMPOTENCY.idempotent(key="{key}", lease=LEASE)(pay))
task(base=BASE.BaseTask, name="once.begin")(RATES.limited(f"{RATE}/s")(begin))
unique = task(base=UNIQUE.UniqueTask, name="once.rebuild", unique_key="{name}", max_crashes=2, default_retry_delay=2)
REBUILD: Any = unique(rebuild)
task(base=BASE.BaseTask, name="once.send_rebuild")(send_rebuild)
task(base=BASE.BaseTask, name="once.fail", retry_backoff_max=1, max_retries=1000)(fail)
