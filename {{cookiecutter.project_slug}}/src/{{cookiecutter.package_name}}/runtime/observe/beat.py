"""How beat offers its figures: what it has sent, when it last looked, and how late it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.environment import read
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
    from . import metrics, offering

    if settings.is_wanted and not isinstance(app.observer, metrics.Recorder):
        offering.record(app, NAME)
        offering.offer(settings, NAME, metrics.REGISTRY)
