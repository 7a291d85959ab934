"""How beat offers its figures: what it has sent, when it last looked, and how late it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.environment import read
from ..observer import NOTHING
from .settings import Settings

if TYPE_CHECKING:
    from ..app import App

#: The name of the process.
NAME = "beat"


def observe(app: App) -> None:
    """Count what beat does from now on.

    A beat that runs in a worker (`celery worker --beat`) is counted there.

    Raises:
        ConfigurationError: The figures cannot be offered where the settings say.
    """
    settings = read(Settings)
    if settings.is_wanted and app.observer is NOTHING:
        from . import metrics, offering

        offering.record(app, NAME)
        offering.offer(settings, NAME, metrics.REGISTRY)
