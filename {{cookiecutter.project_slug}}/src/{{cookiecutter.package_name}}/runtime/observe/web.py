"""How web processes offer their figures: what they have sent, and what they could not send."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from ..observer import WebMetrics

if TYPE_CHECKING:
    from ..app import App

#: The name of the processes, of which a scrape shows the sum.
NAME = "web"


class Metrics(WebMetrics):
    """What the web processes of an app count.

    Args:
        app: The app.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    @cached_property
    def token(self) -> str:
        """Return the token of those who may read the figures, or nothing."""
        from ..config.environment import read  # which only web processes need
        from .settings import Settings

        token = read(Settings).token
        return token.get_secret_value() if token else ""

    def begin(self) -> None:
        """Count from now on what this process and its children send."""
        if self.token:
            self.figures  # noqa: B018 - which begins

    def text(self) -> str:
        """Return the figures as Prometheus reads them."""
        return self.figures()

    @cached_property
    def figures(self) -> Callable[[], str]:
        """Return what returns the figures, from whose first use on they are counted."""
        from . import processes

        folder = processes.share()  # before the first figure is made
        from prometheus_client import generate_latest

        from . import offering

        self.app.loader.import_default_modules()  # whose tasks are counted by name
        offering.record(self.app, NAME)
        registry = processes.sum_of(folder)
        return lambda: generate_latest(registry).decode()
