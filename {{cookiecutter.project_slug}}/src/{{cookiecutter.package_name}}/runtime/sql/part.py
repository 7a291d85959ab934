"""The database part of the project's app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import exc

from ..parts import Part

if TYPE_CHECKING:
    from ..app import App


class Database(Part):
    """The project's database.

    Args:
        keeps_dead_letters: Whether dead letters are kept in it, as where there is no Redis.
    """

    tasks = (f"{__package__}.tasks",)
    # An unreachable database, a deadlock, a lock that timed out; no free connection.
    transient_errors = (exc.OperationalError, exc.TimeoutError)

    def __init__(self, *, keeps_dead_letters: bool = False) -> None:
        self.keeps_dead_letters = keeps_dead_letters

    def checks(self) -> Mapping[str, Callable[[], object]]:
        """Return the check of whether the database answers."""
        from . import database

        return {"database": database.check}

    def install(self, app: App) -> None:
        """Say where dead letters are."""
        if self.keeps_dead_letters:
            app.dead_letter_store = f"{__package__}.dead_letters:DeadLetters"

    def prepare(self, pool: str, concurrency: int) -> None:
        """Size the connection pool, with a connection for each task.

        Raises:
            ConfigurationError: A setting of the database is wrong or missing.
        """
        from . import database

        database.prepare(pool, concurrency)
