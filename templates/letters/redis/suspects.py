"""Tasks that may have killed their worker: without a cap one of them would do so for ever.

Starts of what was delivered before count, not deliveries: a lost connection gives back messages
that were never started. The first such start is not held up, so the work of a dead worker goes on
at once. A task whose worker dies again is a suspect: it is sent again as a new message with the
count, and starts some seconds later. Suspects run one at a time in a worker
(`worker/request.py`), so what only ran beside the culprit ends well, and the culprit is known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery.utils.log import get_logger
from redis.exceptions import RedisError

from ..redis import store

logger = get_logger(__name__)

#: Header with the number of runs in which the process or the whole worker died.
CRASHES_HEADER = "x-crashes"

#: After so many crashes a task is a suspect; after one it may only have run beside the culprit.
SUSPICIOUS = 2

#: How long a start is remembered.
MEMORY = timedelta(days=7)


def crashes(request: Any) -> int:
    """Return in how many runs before this one the process or the worker of a task died.

    Where nothing was noted, a message that was delivered before counts as one crash.
    """
    noted = int((request.headers or {}).get(CRASHES_HEADER, 0))
    return noted or int(bool((request.delivery_info or {}).get("redelivered")))


def judge(request: Any) -> tuple[bool, int]:
    """Return whether the worker of a task has died once more, and in how many runs it has."""
    redelivered = (request.delivery_info or {}).get("redelivered")
    noted = int((request.headers or {}).get(CRASHES_HEADER, 0))
    if not redelivered and not noted:
        return False, 0
    so_far = crashes(request)
    if redelivered and ask(lambda client: client.exists(started(request, noted)), unknown=noted):
        return True, so_far + 1
    ask(lambda client: client.set(started(request, noted), 1, ex=MEMORY))
    return False, so_far


def started(request: Any, noted: int) -> str:
    """Return the key that is there when a task has been started after so many crashes."""
    return store.key("start", request.id, request.retries, noted)


def ask(question: Callable[[Any], object], *, unknown: object = True) -> bool:
    """Ask Redis; without one, a start is not told from a delivery."""
    try:
        return bool(question(store.client()) if store.url() else unknown)
    except RedisError as error:
        logger.warning("Starts are not told from deliveries: %s", error)
        return bool(unknown)
