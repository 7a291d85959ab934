"""The part of an app that counts the tasks of its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parts import Part

if TYPE_CHECKING:
    from ..app import App


class Metrics(Part):
    """A part by which workers count their tasks and offer the figures to Prometheus."""

    def install(self, app: App) -> None:
        """Add a bootstep to every worker, by its name: a publisher does not import it."""
        app.steps["worker"].add(f"{__package__}.worker:Metrics")
