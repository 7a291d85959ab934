"""The errors by which a task says whether to try it again."""

from __future__ import annotations


class TransientError(Exception):
    """It may work later: try again with exponential backoff and jitter."""


class RateLimitedError(TransientError):
    """The other side asks for patience.

    Args:
        message: What happened.
        retry_after: Seconds to wait, if the other side said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after)  # all arguments, so that it can be pickled
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.args[0])


class NotNowError(RateLimitedError):
    """It cannot go on now, and that is nobody's failure: the task goes back and loses no retry."""


class PermanentError(Exception):
    """It will never work: fail at once. Any error that is not named transient is treated so."""


class TooManyCrashesError(Exception):
    """The worker died in every run of a task so far; it is not started again."""

    letter_reason = "crashes"


class RunLostError(Exception):
    """A task that must not run twice was started, and its worker died."""

    letter_reason = "worker lost"
