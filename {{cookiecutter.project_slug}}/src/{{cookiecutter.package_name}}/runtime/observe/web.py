"""How web processes offer their figures: what they have sent, and what they could not send."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.environment import read
from . import processes
from .settings import Settings

if TYPE_CHECKING:
    from ..app import App

#: The name of the processes, of which a scrape shows the sum.
NAME = "web"


def observe(app: App) -> tuple[str, Callable[[], str]] | None:
    """Count what this process and its children send from now on, if anybody may ask for it.

    Returns:
        The token of those who may ask, and a function that returns the figures as Prometheus reads
        them; None if there is no token.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    token = read(Settings).token
    if token is None:
        return None
    folder = processes.share()  # before the first figure is made
    from prometheus_client import generate_latest

    from . import offering

    offering.record(app, NAME)
    registry = processes.sum_of(folder)
    return token.get_secret_value(), lambda: generate_latest(registry).decode()
