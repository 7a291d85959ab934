"""A database by SQLAlchemy, as a part of the project's app."""

from __future__ import annotations

from sqlalchemy import exc

from ..parts import Part


class Database(Part):
    """The project's database."""

    tasks = (f"{__package__}.tasks",)
    # A database that is away, a deadlock, a lock that was waited for in vain; no connection free.
    transient_errors = (exc.OperationalError, exc.TimeoutError)

    def prepare(self, pool: str, concurrency: int) -> None:
        """Make room for a connection for each task.

        Raises:
            ConfigurationError: A setting of the database is wrong or missing.
        """
        from . import database

        database.prepare(pool, concurrency)
