"""A database by SQLAlchemy, as a part of the project's app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exc

from ..parts import Part

if TYPE_CHECKING:
    from ..app import App


class Database(Part):
    """The project's database; dead letters are kept there unless there is a Redis."""

    # A database that is away, a deadlock, a lock that was waited for in vain; no connection free.
    transient_errors = (exc.OperationalError, exc.TimeoutError)

    def install(self, app: App) -> None:
        """Keep dead letters there."""
        from .dead_letters import DeadLetters

        app.dead_letters = DeadLetters

    def prepare(self, pool: str, concurrency: int) -> None:
        """Make room for a connection for each task.

        Raises:
            ConfigurationError: A setting of the database is wrong or missing.
        """
        from . import database

        database.prepare(pool, concurrency)
