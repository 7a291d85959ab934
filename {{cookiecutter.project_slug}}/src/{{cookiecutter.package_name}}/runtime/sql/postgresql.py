"""Connections to PostgreSQL with timeouts for everything that the network or a worker may do."""

from __future__ import annotations

import os
from typing import Any

from celery import current_app

from .. import budget
from . import settings as config


def wait_in_greenlets(pool: str) -> None:
    """Make psycopg wait for the server in a way that suits the worker's pool.

    Args:
        pool: The name of the pool.
    """
    if pool == "eventlet":
        # psycopg notices gevent, but not eventlet: each statement would block all greenlets
        # (psycopg/waiting.py, `_is_select_patched`).
        os.environ["PSYCOPG_WAIT_FUNC"] = "wait_selector"


def arguments(settings: config.Database) -> dict[str, Any]:
    """Return the arguments for each connection.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
    """
    timeouts = {
        "statement_timeout": settings.statement_timeout or budget.configured().soft,
        # End an idle transaction, such as that of a frozen worker, because it holds locks.
        "idle_in_transaction_session_timeout": budget.longest(),
    }
    return {
        "application_name": current_app.main,
        "connect_timeout": settings.connect_timeout,
        # Without these, a lost network would block a task for as long as the kernel retries.
        "keepalives_idle": 25,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 40_000,
        "options": " ".join(f"-c {name}={value * 1000:.0f}" for name, value in timeouts.items()),
    }
