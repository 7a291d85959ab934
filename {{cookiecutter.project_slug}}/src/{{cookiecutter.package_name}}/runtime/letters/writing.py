"""Writing dead letters.

A worker writes a dead letter before it acknowledges the message. After a crash in between, the
dead letter is written again under the same id, which is the id of the task. If the store fails, the
worker logs the whole dead letter as JSON, and RabbitMQ gets the message back and dead-letters it
itself.

A task that will be retried is not a dead letter, nor is one that expired or was revoked or
cancelled. A periodic task has one dead letter per error, with a count, so a disk that stays full
gives one dead letter and not one every five minutes. `retention.py` limits their number and age.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from celery.utils.log import get_logger
from kombu.utils.json import dumps

from ..observer import notices, observer
from ..printable import one_line, shortened
from . import retention
from .letter import DeadLetter
from .messages import id_of
from .store import store_of

if TYPE_CHECKING:
    from celery import Celery

logger = get_logger(__name__)

#: How long a periodic task that keeps failing is not logged as an error again.
QUIET = timedelta(days=1)


def write(app: Celery, letter: DeadLetter) -> bool:
    """Store a dead letter and log that; return whether it was stored."""
    stored = store(app, letter)
    if stored is None:
        return False
    told = (described(stored), app.main, one_line(stored.id))
    if is_news(stored):
        logger.error("Dead letter of %s; see `celery -A %s dead-letters show %s`", *told)
    else:
        logger.info("Dead letter of %s again; see `celery -A %s dead-letters show %s`", *told)
    return True


def store(app: Celery, letter: DeadLetter) -> DeadLetter | None:
    """Store a dead letter, or log all of it if the store fails; return it if it was stored."""
    if letter.is_periodic:
        letter = replace(letter, id=id_of_failure(letter))
    if not is_known(letter):
        notices().failed(letter)
    try:
        place = store_of(app)
        place.add(letter)
    except Exception:
        logger.critical("Could not store a dead letter: %s", letter.to_json(), exc_info=True)
        return None
    observer().count("dead_letters", queue_name=letter.queue, reason=letter.reason)
    retention.keep_limits(place)
    return letter


def described(letter: DeadLetter) -> str:
    """Return the task, the reason and the error of a dead letter, as one line for a log."""
    what = f"{letter.task or 'a message'} ({letter.reason})"
    return shortened(f"{what}: {letter.problem}" if letter.problem else what)


def id_of_failure(letter: DeadLetter) -> str:
    """Return the id that all failures of a periodic task with the same reason share."""
    parts = (letter.task, letter.args, letter.kwargs, letter.reason, letter.error)
    return id_of(dumps(parts).encode())


#: When this process last saw each periodic task fail, by the id of its dead letter.
_failures: dict[str, datetime] = {}


def is_known(letter: DeadLetter) -> bool:
    """Whether this process has lately seen the same failure of a periodic task."""
    last = _failures.get(letter.id) if letter.is_periodic else None
    return last is not None and last >= datetime.now(UTC) - QUIET


def is_news(letter: DeadLetter) -> bool:
    """Whether a failure is logged as an error; a repeated one of a periodic task is not."""
    if not letter.is_periodic:
        return True
    is_new, moment = not is_known(letter), datetime.now(UTC)
    for known in [known for known, last in _failures.items() if last < moment - QUIET]:
        del _failures[known]
    _failures[letter.id] = moment
    return is_new
