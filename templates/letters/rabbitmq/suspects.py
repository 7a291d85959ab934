"""Tasks that may have killed their worker: without a cap one of them would do so for ever.

Starts of what was delivered before count, not deliveries: a lost connection gives back messages
that were never started, and RabbitMQ's `x-delivery-count` counts those too. The count travels with
the task, as a new message, so it needs no store.

A task whose worker dies twice is a suspect. Suspects run one at a time in a worker
(`worker/request.py`), so what only ran beside the culprit ends well, and the culprit is known.
"""

from __future__ import annotations

from typing import Any

#: Header with the number of runs in which the process or the whole worker died.
CRASHES_HEADER = "x-crashes"

#: After so many crashes a task is a suspect; after one it may only have run beside the culprit.
SUSPICIOUS = 2


def crashes(request: Any) -> int:
    """Return in how many runs before this one the process or the worker of a task died."""
    return int((request.headers or {}).get(CRASHES_HEADER, 0))


def judge(request: Any) -> tuple[bool, int]:
    """Return whether the worker of a task has died once more, and in how many runs it has."""
    once_more = bool((request.delivery_info or {}).get("redelivered"))
    return once_more, crashes(request) + once_more
