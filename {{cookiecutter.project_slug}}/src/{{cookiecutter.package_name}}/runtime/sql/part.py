"""The database part of the project's app."""

from __future__ import annotations

from sqlalchemy import exc

from ..parts import Part


class Database(Part):
    """The project's database."""

    tasks = (f"{__package__}.tasks",)
    # An unreachable database, a deadlock, a lock that timed out; no free connection.
    transient_errors = (exc.OperationalError, exc.TimeoutError)

    def prepare(self, pool: str, concurrency: int) -> None:
        """Size the connection pool, with a connection for each task.

        Raises:
            ConfigurationError: A setting of the database is wrong or missing.
        """
        from . import database

        database.prepare(pool, concurrency)
