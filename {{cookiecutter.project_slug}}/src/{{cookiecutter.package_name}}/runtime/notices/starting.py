"""Which processes tell people: the bootstep of workers, and the handler for beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.signals import worker_shutdown
from kombu.utils.imports import symbol_by_name

from ..config.environment import read
from .settings import Settings

if TYPE_CHECKING:
    from ..app import App


class Telling(bootsteps.Step):
    """A bootstep by which the main process of a worker tells people."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        app = parent.app
        # Not each worker is to tell the same where no place is shared.
        begin(app, str(parent.hostname), looks=not app.conf.beat_schedule)


def of_beat(sender: Any, **_: Any) -> None:
    """Let beat tell people; a handler of the signal `beat_init`."""
    begin(sender.app, "beat", looks=True)


def begin(app: App, name: str, *, looks: bool) -> None:
    """Begin to tell people, if somebody is to be told.

    Args:
        app: The app.
        name: The name of this process.
        looks: Whether this process tells what is wrong with servers and workers.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    settings = read(Settings)
    if not settings.channels or app.notices.is_wanted:  # a worker may run a beat, too
        return
    from .notifier import Notifier
    from .place import Memory

    place = symbol_by_name(app.notices_place)() if app.notices_place else Memory()
    notifier = Notifier(app, settings, name, place, looks=looks)
    app.notices = notifier
    notifier.begin()
    worker_shutdown.connect(lambda **_: notifier.end(), weak=False)
