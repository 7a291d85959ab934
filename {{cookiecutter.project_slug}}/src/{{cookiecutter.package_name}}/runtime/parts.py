"""The interface of parts: what an app may have besides a broker, such as a Redis or a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import App


class Part:
    """A part of an app."""

    #: Names of modules with tasks that it brings.
    tasks: tuple[str, ...] = ()
    #: Its errors after which a task is retried.
    transient_errors: tuple[type[Exception], ...] = ()

    def checks(self) -> Mapping[str, Callable[[], object]]:
        """Return functions that raise an error if a server does not answer, by its name."""
        return {}

    def install(self, app: App) -> None:
        """Set attributes of the app when the app is created.

        Raises:
            ConfigurationError: A setting is wrong or missing.
        """

    def prepare(self, pool: str, concurrency: int) -> None:
        """Prepare for a worker before it starts.

        Args:
            pool: The name of the worker's pool.
            concurrency: How many tasks the worker runs at once, in all its processes.

        Raises:
            ConfigurationError: A setting is wrong or missing.
        """
