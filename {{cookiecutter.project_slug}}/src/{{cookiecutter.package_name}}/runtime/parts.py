"""What a project has beside its broker, and tells its app of: a Redis, a database, a framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import App


class Part:
    """Something that an app uses."""

    #: Names of its modules that hold tasks.
    tasks: tuple[str, ...] = ()
    #: Errors of it after which a task is tried again.
    transient_errors: tuple[type[Exception], ...] = ()

    def install(self, app: App) -> None:
        """Set what the app has of it, when the app is made.

        Raises:
            ConfigurationError: A setting is wrong or missing.
        """

    def prepare(self, pool: str, concurrency: int) -> None:
        """Take in what only a worker knows, before it starts.

        Args:
            pool: The name of its pool.
            concurrency: How many tasks it runs at once, in all of its processes.

        Raises:
            ConfigurationError: A setting is wrong or missing.
        """
