"""Connections to PostgreSQL that end in time, whatever the network or a worker does."""

from __future__ import annotations

import os
from typing import Any

from celery import current_app

from .. import budget
from . import settings as config


def wait_in_greenlets(pool: str) -> None:
    """Let psycopg wait for the server as the pool of this worker does.

    Args:
        pool: The name of the pool.
    """
    if pool == "eventlet":
        # psycopg sees whether it waits in greenlets of gevent, and not that it does in eventlet's:
        # each statement would hold up all of them (psycopg/waiting.py, `_is_select_patched`).
        os.environ["PSYCOPG_WAIT_FUNC"] = "wait_selector"


def arguments(settings: config.Database) -> dict[str, Any]:
    """Return what psycopg and PostgreSQL are told for each connection.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
    """
    timeouts = {
        "statement_timeout": settings.statement_timeout or budget.configured().soft,
        # Of a transaction that stands still, such as that of a frozen worker: it holds locks.
        "idle_in_transaction_session_timeout": budget.longest(),
    }
    return {
        "application_name": current_app.main,
        "connect_timeout": settings.connect_timeout,
        # Without these a lost network blocks a task for as long as the kernel retries.
        "keepalives_idle": 25,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 40_000,
        "options": " ".join(f"-c {name}={value * 1000:.0f}" for name, value in timeouts.items()),
    }
