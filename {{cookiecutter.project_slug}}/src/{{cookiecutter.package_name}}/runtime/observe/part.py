"""The part of an app that counts what its processes do."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from celery.signals import beat_init

from ..parts import Part

if TYPE_CHECKING:
    from ..app import App


class Metrics(Part):
    """A part by which processes count what they do and offer the figures to Prometheus."""

    def install(self, app: App) -> None:
        """Let each kind of process begin in its own way; a mere publisher imports nothing of it."""
        app.steps["worker"].add(f"{__package__}.worker:Metrics")
        beat_init.connect(prepare)

        @cache
        def metrics_of_web() -> Any:
            from . import web  # which only web processes need

            return web.observe(app)

        app.metrics_of_web = metrics_of_web


def prepare(sender: Any, **_: Any) -> None:
    """Count what beat does; a handler of the signal `beat_init`."""
    from . import beat  # which only beat needs

    beat.observe(sender.app)
