"""The beat part of the project's app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery.signals import beat_init

from ..parts import Part

if TYPE_CHECKING:
    from ..app import App


class Beat(Part):
    """A part that sets the schedule, and lets beat stop cleanly.

    Args:
        schedule: The schedule, in the form of Celery's `beat_schedule`.
    """

    def __init__(self, schedule: Mapping[str, Mapping[str, Any]]) -> None:
        self.schedule = schedule

    def install(self, app: App) -> None:
        """Set the schedule and the class of `celery beat`, and prepare beat when it starts."""
        app.conf.beat_schedule = dict(self.schedule)
        app.beat_cls = f"{__package__}.ticks:Beat"
        beat_init.connect(prepare)


def prepare(sender: Any, **_: Any) -> None:
    """Make beat mark its messages, and stop between two ticks."""
    from . import ticks  # which only beat needs

    ticks.prepare(sender)
