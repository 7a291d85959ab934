"""How a dead letter is written.

A worker writes it before it acknowledges the message, so a crash in between leaves both: the dead
letter is written again under the same id, that of the task. If the store refuses it, the worker
logs the whole dead letter as JSON, and RabbitMQ gets the message back for its own dead letters.

A task that will be retried is no dead letter, nor is one that expired, was revoked or cancelled. A
task that beat sends has one dead letter for each error, with a count: a disk that stays full is
one, and not one every five minutes. `retention.py` says how many are kept, and for how long.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from celery.utils.log import get_logger
from kombu.utils.json import dumps

from . import retention
from .letter import DeadLetter
from .messages import id_of
from .store import store_of

if TYPE_CHECKING:
    from celery import Celery

logger = get_logger(__name__)

#: Time for which a periodic task that goes on failing is not logged as an error again.
QUIET = timedelta(days=1)


def write(app: Celery, letter: DeadLetter) -> bool:
    """Keep a letter; if the store refuses it, log all of it. Return whether it was kept."""
    if letter.is_periodic:
        letter = replace(letter, id=id_of_failure(letter))
    try:
        store = store_of(app)
        store.add(letter)
    except Exception:
        logger.critical("Could not store a dead letter: %s", letter.to_json(), exc_info=True)
        return False
    told = (letter.id, letter.task or "?", letter.reason, letter.error, letter.text)
    if is_news(letter):
        logger.error("Dead letter %s of task %s: %s: %s: %.200s", *told)
    else:
        logger.info("Dead letter %s of task %s, once more: %s: %s: %.200s", *told)
    retention.keep_limits(store)
    return True


def id_of_failure(letter: DeadLetter) -> str:
    """Return an id that all failures of a periodic task for the same reason share."""
    parts = (letter.task, letter.args, letter.kwargs, letter.reason, letter.error)
    return id_of(dumps(parts).encode())


#: When this process saw a periodic task fail, by the id of its letter.
_failures: dict[str, datetime] = {}


def is_news(letter: DeadLetter) -> bool:
    """Whether a failure is to be logged as an error: the same one of a periodic task is, once."""
    if not letter.is_periodic:
        return True
    moment = datetime.now(UTC)
    for known in [known for known, last in _failures.items() if last < moment - QUIET]:
        del _failures[known]
    is_known = letter.id in _failures
    _failures[letter.id] = moment
    return not is_known
