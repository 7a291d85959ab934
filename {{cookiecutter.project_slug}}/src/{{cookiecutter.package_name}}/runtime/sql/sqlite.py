"""Making SQLite behave like a server: writers wait for each other, and mistakes are not retried."""

from __future__ import annotations

import time
from sqlite3 import Connection as SQLite

from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.exc import OperationalError, ProgrammingError

#: Seconds to wait for permission to write, and between two tries.
PATIENCE, PAUSE = 20.0, 0.02


def lock_as_servers_do(engine: Engine) -> None:
    """Make an SQLite transaction take its lock when it begins, and make others wait for it.

    By default, Python begins a transaction at its first write, after the reads on which that write
    is based, so changes by others in between get lost. The lock also takes the place of
    `FOR UPDATE`, which SQLite lacks
    (https://docs.python.org/3/library/sqlite3.html#transaction-control).

    Args:
        engine: An engine that has not connected yet.
    """
    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)
    event.listen(engine, "handle_error", classify)


def set_up(connection: SQLite, _: object) -> None:
    """Let readers work beside a writer, and turn on foreign keys."""
    connection.isolation_level = None  # so that sqlite3 begins no transaction of its own
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def begin(connection: Connection) -> None:
    """Begin a transaction that may write; wait in Python, so that other greenlets can run."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
        else:
            return


def classify(failure: ExceptionContext) -> Exception | None:
    """Distinguish mistakes in a statement, which no retry helps, from a locked file."""
    error = failure.original_exception
    if getattr(error, "sqlite_errorname", "") == "SQLITE_ERROR":
        return ProgrammingError(failure.statement, failure.parameters, error)
    return None
