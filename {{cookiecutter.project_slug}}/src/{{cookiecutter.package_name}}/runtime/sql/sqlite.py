"""SQLite that behaves as a server does: whoever is second waits, and a mistake is no outage."""

from __future__ import annotations

import time
from sqlite3 import Connection as SQLite

from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.exc import OperationalError, ProgrammingError

#: Seconds to wait until the file may be written, and between two tries.
PATIENCE, PAUSE = 20.0, 0.02


def lock_as_servers_do(engine: Engine) -> None:
    """Let a transaction of SQLite lock when it begins, and let others wait for it.

    By default Python begins one with its first write, after the reads which that is based on, and
    what others have written meanwhile gets lost. It also takes the place of `FOR UPDATE`, which
    SQLite does not know (https://docs.python.org/3/library/sqlite3.html#transaction-control).

    Args:
        engine: An engine that has not connected yet.
    """
    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)
    event.listen(engine, "handle_error", classify)


def set_up(connection: SQLite, _: object) -> None:
    """Let readers and a writer work at once, and foreign keys be checked."""
    connection.isolation_level = None  # sqlite3 begins no transaction of its own
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def begin(connection: Connection) -> None:
    """Begin a transaction that may write; wait where greenlets can go on, which SQLite cannot."""
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
    """Tell a mistake in a statement, which no retry mends, from a file that cannot be written."""
    error = failure.original_exception
    if getattr(error, "sqlite_errorname", "") == "SQLITE_ERROR":
        return ProgrammingError(failure.statement, failure.parameters, error)
    return None
