"""Tasks that may have killed their worker: without a cap one of them would do so for ever.

Starts of what was delivered before count, not deliveries: a lost connection gives back messages
that were never started, and RabbitMQ's `x-delivery-count` counts those too. The count travels with
the task, as a new message, so it needs no store.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

#: Header with the number of runs in which the process or the whole worker died.
CRASHES_HEADER = "x-crashes"


class Verdict(StrEnum):
    """What is to be done with a task that is about to start."""

    START = "start"
    CRASHED = "crashed"  # its worker died once more


def crashes(request: Any) -> int:
    """Return in how many runs before this one the process or the worker of a task died."""
    return int((request.headers or {}).get(CRASHES_HEADER, 0))


def judge(request: Any) -> tuple[Verdict, int]:
    """Return what is to be done with a task, and in how many runs it crashed."""
    noted = crashes(request)
    if (request.delivery_info or {}).get("redelivered"):
        return Verdict.CRASHED, noted + 1
    return Verdict.START, noted


def end(request: Any) -> None:
    """Do nothing: without a store, tasks that ran beside the culprit are not told apart from it."""
