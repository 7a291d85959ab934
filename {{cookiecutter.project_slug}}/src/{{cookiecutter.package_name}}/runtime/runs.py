"""Earlier runs of a message: whether one has started, and whether it is still running.

Brokers deliver a message again when its worker has died, whether or not the task had started. The
class here relies on the broker alone; `redis/runs.py` keeps records in Redis and knows more.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Any

#: Header with the number of runs in which the task's process or its whole worker died.
CRASHES_HEADER = "x-crashes"

#: After so many crashes a task is a suspect; after one, it may only have run beside the culprit.
SUSPICIOUS = 2


class Earlier(StrEnum):
    """The state of an earlier run of the same message."""

    NONE = "none"
    RUNS = "runs"
    LOST = "lost"
    ENDED = "ended"


def is_redelivered(request: Any) -> bool:
    """Whether the broker has delivered a message before."""
    return bool((request.delivery_info or {}).get("redelivered"))


class Runs:
    """The broker's view of earlier runs: whether it has delivered a message before.

    A task that may have killed its worker is recognised by how often it was started again, not by
    how often it was delivered: a lost connection gives back messages that were never started, and
    RabbitMQ's `x-delivery-count` counts those too. The number travels with the task in a new
    message.

    A task whose worker dies twice is a suspect. Suspects run one at a time in a worker
    (`worker/request.py`), so tasks that only ran beside the culprit succeed, and the culprit is
    found.
    """

    #: Seconds after which the run of a silent worker counts as lost.
    lease = 30

    #: Errors of the place where records are kept.
    errors: tuple[type[Exception], ...] = ()

    def crashes(self, request: Any) -> int:
        """Return how many earlier runs of a task ended with the death of its process or worker."""
        return int((request.headers or {}).get(CRASHES_HEADER, 0))

    def died(self, request: Any) -> bool:
        """Return whether it is on record that a task's worker has died since it was sent."""
        return False

    def judge(self, request: Any) -> tuple[bool, int]:
        """Return whether a task's worker has died once more, and how often that has happened."""
        once_more = is_redelivered(request)
        return once_more, self.crashes(request) + once_more

    def start(self, request: Any) -> Earlier:
        """Record the start of the only run of a message, unless there was one."""
        return Earlier.LOST if is_redelivered(request) else Earlier.NONE

    def alive(self, request: Any) -> AbstractContextManager[Any]:
        """Renew the lease of a run while a block runs."""
        return nullcontext()

    def end(self, request: Any) -> None:
        """Record that a run has succeeded, so that copies of its message are dropped."""

    def forget(self, request: Any) -> None:
        """Delete the record of a run, so that its message can start again."""
