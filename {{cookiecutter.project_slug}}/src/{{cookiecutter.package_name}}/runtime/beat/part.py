"""Beat, as a part of the project's app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery.signals import beat_init

from ..parts import Part

if TYPE_CHECKING:
    from ..app import App


class Beat(Part):
    """Send what is due, and stop between two looks at the schedule.

    Args:
        schedule: What beat sends, as Celery's `beat_schedule` takes it.
    """

    def __init__(self, schedule: Mapping[str, Mapping[str, Any]]) -> None:
        self.schedule = schedule

    def install(self, app: App) -> None:
        """Set the schedule and the class of `celery beat`; prepare beat when it starts."""
        app.conf.beat_schedule = dict(self.schedule)
        app.beat_cls = f"{__package__}.ticks:Beat"
        beat_init.connect(prepare)


def prepare(sender: Any, **_: Any) -> None:
    """Let beat mark what it sends, and stop between two looks."""
    from . import ticks  # which no other process needs

    ticks.prepare(sender)
