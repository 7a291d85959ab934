"""What may be wrong with a project as a whole: its servers, its workers and its beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

from ..printable import shortened

if TYPE_CHECKING:
    from ..app import App
    from .place import Place

#: Seconds to wait for the answers of workers.
PATIENCE = 2

#: Seconds after which a beat that has not looked at its schedule is told to be silent. It looks
#: every 5 seconds or more often.
SILENT = 120


def problems(app: App, place: Place) -> dict[str, str]:
    """Return what is wrong now: for each problem, a sentence about it.

    Args:
        app: The app.
        place: Where it is noted when beat last looked at its schedule.
    """
    found = dict(of_broker(app))
    for name, check in app.checks.items():
        if error := failure(check):
            found[name] = f"The {name} does not answer: {error}."
    if sentence := of_beat(app, place):
        found["beat"] = sentence
    return found


def of_broker(app: App) -> Iterator[tuple[str, str]]:
    """Yield whether the broker is away, or otherwise the queues without a worker."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=0)
            ask = app.control.inspect(timeout=PATIENCE, connection=connection)
            answers = ask.active_queues() or {}
    except (OperationalError, OSError) as error:
        yield "broker", f"The broker does not answer: {shortened(error, 200)}."
        return
    consumed = {queue["name"] for queues in answers.values() for queue in queues or []}
    for queue in sorted(set(app.amqp.queues) - consumed):
        yield f"queue {queue}", f"No worker answers for the queue {queue}."


def failure(check: Callable[[], object]) -> str:
    """Return the error of a check, or nothing."""
    try:
        check()
    except Exception as error:
        return shortened(error, 200) or type(error).__name__
    return ""


def of_beat(app: App, place: Place) -> str:
    """Return a sentence about a beat that is silent, if that is known."""
    last = place.last_tick()
    if last is None or not app.conf.beat_schedule:
        return ""
    silent = time.time() - last
    if silent < SILENT:
        return ""
    return (
        f"Beat has not looked at its schedule for {silent / 60:.0f} minutes, so no periodic task"
        " is sent."
    )
