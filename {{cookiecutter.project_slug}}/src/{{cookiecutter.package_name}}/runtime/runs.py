"""What is known of earlier runs of a message: whether one has started, and whether it goes on.

Brokers deliver a message again when its worker has died, whether it had started the task or not.
This class goes by what the broker says. `redis/runs.py` leaves marks in a Redis, and knows more.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Any

#: Header with the number of runs in which the process or the whole worker died.
CRASHES_HEADER = "x-crashes"

#: After so many crashes a task is a suspect; after one it may only have run beside the culprit.
SUSPICIOUS = 2


class Earlier(StrEnum):
    """What is known of an earlier run of the same message."""

    NONE = "none"
    RUNS = "runs"
    LOST = "lost"
    ENDED = "ended"


def is_redelivered(request: Any) -> bool:
    """Whether the broker has delivered a message before."""
    return bool((request.delivery_info or {}).get("redelivered"))


class Runs:
    """What the broker knows: whether it has delivered a message before.

    A task that may have killed its worker is known by starts of what was delivered before, not by
    deliveries: a lost connection gives back messages that were never started, and RabbitMQ's
    `x-delivery-count` counts those too. The number travels with the task, as a new message.

    A task whose worker dies twice is a suspect. Suspects run one at a time in a worker
    (`worker/request.py`), so what only ran beside the culprit ends well, and the culprit is known.
    """

    #: Seconds without a sign of life after which a run counts as lost.
    lease = 30

    #: What may go wrong with the place where marks are.
    errors: tuple[type[Exception], ...] = ()

    def crashes(self, request: Any) -> int:
        """Return in how many runs before this one the process or the worker of a task died."""
        return int((request.headers or {}).get(CRASHES_HEADER, 0))

    def judge(self, request: Any) -> tuple[bool, int]:
        """Return whether the worker of a task has died once more, and in how many runs it has."""
        once_more = is_redelivered(request)
        return once_more, self.crashes(request) + once_more

    def start(self, request: Any) -> Earlier:
        """Note that the only run of a message starts, unless there was one."""
        return Earlier.LOST if is_redelivered(request) else Earlier.NONE

    def alive(self, request: Any) -> AbstractContextManager[Any]:
        """Keep the lease of a run while a block goes on."""
        return nullcontext()

    def end(self, request: Any) -> None:
        """Note that a run has succeeded: a copy of its message is dropped."""

    def forget(self, request: Any) -> None:
        """Let a message start once more."""
