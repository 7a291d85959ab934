"""A module for workers to load beside the project's own: it records what their tasks do.

`CELERY_WORKER_INCLUDE=probe celery -A <package> worker` loads it; `PROBE_FILE` names the file that
keeps the records, a line of JSON each. One is written when a task starts, one when it ends, and one
when it will be tried again. Each has the context that the task sees.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
from functools import cache
from importlib import import_module
from typing import Any

from celery import current_app, shared_task, signals  # type: ignore[import-not-found,import-untyped,unused-ignore]


def append(entry: dict[str, Any]) -> None:
    """Append a record with one write, so that other writers cannot interleave."""
    file = os.open(os.environ["PROBE_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, json.dumps(entry).encode() + b"\n")
    finally:
        os.close(file)


def part(name: str) -> Any:
    """Return a module of the runtime."""
    return import_module(f"{current_app.main}.runtime.{name}")


def record(event: str, task: Any, **details: Any) -> None:
    """Append a record."""
    request = task.request
    entry = {
        "event": event,
        "task": task.name,
        "id": request.id,
        "time": time.time(),
        "queue": request.delivery_info["routing_key"],
        "worker": request.hostname.partition("@")[0],
        "pid": os.getpid(),
        "args": request.args,
        **part("context").current()._asdict(),
        **details,
    }
    append(entry)


def started(task: Any, **_: Any) -> None:
    """Record that a task starts."""
    record("start", task)


def ended(task: Any, state: str, **_: Any) -> None:
    """Record that a task ended: its state may be RETRY."""
    record("end", task, state=state)


def postponed(sender: Any, reason: Any, **_: Any) -> None:
    """Record the seconds that a retry waits."""
    record("retry", sender, countdown=reason.when)


signals.task_prerun.connect(started, weak=False)
signals.task_postrun.connect(ended, weak=False)
signals.task_retry.connect(postponed, weak=False)


def sleep(seconds: float, *_: object) -> None:
    """Keep a worker waiting."""
    time.sleep(seconds)


def sleep_until(moment: float) -> None:
    """Keep a worker waiting until a time in seconds since the epoch."""
    time.sleep(max(0.0, moment - time.time()))


shared_task(name="probe.sleep")(sleep)
shared_task(name="probe.sleep_until")(sleep_until)


# What tests of the context, of coroutines and of resources need


def step(*_: Any) -> str:
    """Do nothing, as part of a workflow."""
    return "done"


def try_again(self: Any, *_: Any, times: int = 1) -> str:
    """Ask for another run, so many times."""
    if self.request.retries < times:
        raise self.retry(countdown=0)
    return "done"


def publish(*_: Any) -> None:
    """Publish a task, and one that fails and calls back."""
    current_app.send_task("probe.step")
    current_app.send_task("probe.fail", link_error=current_app.signature("probe.on_error", immutable=True))


def fail() -> None:
    """Fail."""
    raise ValueError("on purpose")


def on_error() -> None:
    """Do nothing, after a failure."""


def die(self: Any, times: int) -> None:
    """Kill the process, in so many runs."""
    if (self.request.headers or {}).get("x-crashes", 0) < times:
        os.kill(os.getpid(), signal.SIGKILL)


def check(correlation_id: str, tenant: str, children: int = 1) -> None:
    """Fail if the context is not the expected one at any time; publish a task that does the same."""
    context = part("context")
    for _ in range(3):
        if context.current() != (correlation_id, tenant):
            raise ValueError(f"{context.current()} instead of {correlation_id} {tenant}")
        time.sleep(random.uniform(0, 0.02))  # noqa: S311
    if children:
        current_app.send_task("probe.check", (correlation_id, tenant, children - 1))


def run_coroutine(self: Any) -> None:
    """Record where a coroutine runs, and what it sees."""

    async def look() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {
            "loop": id(asyncio.get_running_loop()),
            "thread": threading.current_thread().name,
            "inside": list(part("context").current()),
        }

    record("coroutine", self, **part("aio").run(look()))


def run_endless_coroutine(self: Any, seconds: float) -> None:
    """Run a coroutine with a time limit, and record that it is cancelled."""

    async def endless() -> None:
        cancelled = False
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            await asyncio.sleep(0.1)
            ends.append(cancelled)

    ends: list[bool] = []
    try:
        part("aio").run(endless(), timeout=seconds)
    finally:
        record("cancelled", self, ended=ends)


@cache
def owned() -> Any:
    """Return a resource of which every process has its own, and which records when it is closed."""

    def close(_: object) -> None:
        append({"event": "closed", "pid": os.getpid()})

    return part("resources").PerProcess(object, close)


def own(self: Any) -> None:
    """Use it."""
    record("owned", self, identity=id(owned()()))
    time.sleep(0.05)


task: Any = shared_task
for plain in (step, publish, fail, on_error, check):
    task(name=f"probe.{plain.__name__}")(plain)
for bound in (try_again, die, run_coroutine, run_endless_coroutine, own):
    task(name=f"probe.{bound.__name__}", bind=True, default_retry_delay=0.1)(bound)
