"""The part of an app that keeps dead letters and records of runs in Redis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..parts import Part
from . import store
from .errors import TRANSIENT_ERRORS

if TYPE_CHECKING:
    from ..app import App


class RedisState(Part):
    """The project's Redis (`store.py`) as a part of its app."""

    transient_errors = TRANSIENT_ERRORS

    def checks(self) -> Mapping[str, Callable[[], object]]:
        """Return the check of whether Redis answers."""
        return {"Redis": lambda: store.client().ping()}

    def install(self, app: App) -> None:
        """Keep dead letters and records of runs in Redis.

        Raises:
            ConfigurationError: A setting of the store is wrong or missing.
        """
        from .runs import Runs

        store.check(app.conf)
        app.notices_place = f"{__package__}.notices:shared"
        app.dead_letter_store, app.runs = f"{__package__}.dead_letters:DeadLetters", Runs()
