"""A module for workers of a Django project to load beside the probe: tasks that use the database.

The main process opens a connection when it is ready. The processes that it starts later inherit it,
and must neither use nor end it.
"""

from __future__ import annotations

import os
from typing import Any

from celery import shared_task, signals  # type: ignore[import-not-found,import-untyped,unused-ignore]
from django.db import connection  # type: ignore[import-not-found,import-untyped,unused-ignore]

from probe import append, record


def ask(seconds: float = 0) -> int:
    """Keep a connection busy, and return the process of the server that it has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() FROM pg_sleep(%s)", [seconds])
        return int(cursor.fetchone()[0])


def connect(**_: Any) -> None:
    """Open a connection, and record it."""
    append({"event": "main", "pid": os.getpid(), "backend": ask()})


def query(self: Any, seconds: float) -> None:
    """Keep a connection busy, and record it."""
    record("query", self, backend=ask(seconds))


signals.worker_ready.connect(connect, weak=False)
shared_task(name="queries.query", bind=True)(query)
