"""A module for workers to load beside the project's own: tasks that use its database.

It needs the table `effect`, in which each task leaves a row.
"""

from __future__ import annotations

import os
import threading
import time
from importlib import import_module
from typing import Any

from celery import current_app, shared_task  # type: ignore[import-not-found,import-untyped,unused-ignore]
from sqlalchemy import text  # type: ignore[import-not-found,unused-ignore]

PACKAGE = current_app.main
DATABASE: Any = import_module(f"{PACKAGE}.runtime.sql.database")

#: Which task holds which connection of this process, to find out whether two share one.
holders: dict[int, int] = {}
guard = threading.Lock()

INSERT = text(
    "INSERT INTO effect (number, process, backend, began, ended) VALUES (:number, :process, :backend, :began, :ended)"
)


def leave(number: int, seconds: float = 0.01) -> None:
    """Leave a row, in a transaction that takes a while; every tenth fails after that."""
    with DATABASE.session() as session:
        began = time.time()
        backend = session.scalar(text("SELECT pg_backend_pid()"))
        with guard:
            if backend in holders:
                raise AssertionError(f"tasks {holders[backend]} and {number} share connection {backend}")
            holders[backend] = number
        try:
            session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
            row = {"number": number, "process": os.getpid(), "backend": backend}
            session.execute(INSERT, {**row, "began": began, "ended": time.time()})
        finally:
            with guard:
                del holders[backend]
        if number % 10 == 9:
            raise ValueError("on purpose")


def report(self: Any, seconds: float) -> str:
    """Report progress, and then return something."""
    self.update_state(state="PROGRESS", meta={"percent": 50.0})
    time.sleep(seconds)
    return "done"


def put(number: int) -> int:
    """Return a number, as part of a chord."""
    return number


def gather(numbers: list[int]) -> dict[str, Any]:
    """Return the sum of numbers, and when."""
    return {"sum": sum(numbers), "time": time.time()}


task: Any = shared_task
task(name="rows.leave")(leave)
task(name="rows.report", bind=True, ignore_result=False)(report)
for function in (put, gather):
    task(name=f"rows.{function.__name__}", ignore_result=False)(function)
