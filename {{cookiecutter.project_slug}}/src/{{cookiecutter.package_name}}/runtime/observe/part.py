"""The part of an app that counts what its processes do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.signals import beat_init

from ..parts import Part
from . import web

if TYPE_CHECKING:
    from ..app import App


class Metrics(Part):
    """A part by which processes count what they do and offer the figures to Prometheus."""

    def install(self, app: App) -> None:
        """Let each kind of process begin in its own way; a mere publisher imports nothing of it."""
        app.steps["worker"].add(f"{__package__}.worker:Metrics")
        beat_init.connect(prepare)
        app.web_metrics = web.Metrics(app)


def prepare(sender: Any, **_: Any) -> None:
    """Count what beat does; a handler of the signal `beat_init`."""
    from . import beat  # which only beat needs

    beat.observe(sender.app)
