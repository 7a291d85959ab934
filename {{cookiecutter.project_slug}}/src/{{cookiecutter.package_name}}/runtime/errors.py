"""The errors by which a task says whether it should be retried."""

from __future__ import annotations


class TransientError(Exception):
    """A temporary failure: the task is retried with exponential backoff and jitter."""


class RateLimitedError(TransientError):
    """The other side asks to wait before the next try.

    Args:
        message: What happened.
        retry_after: Seconds to wait, if the other side named them.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after)  # all arguments, so that the error can be pickled
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.args[0])


class NotNowError(RateLimitedError):
    """The task cannot go on now, which is not a failure: it is put back and uses up no retry."""


class PermanentError(Exception):
    """A permanent failure: the task fails at once, as with any error that is not transient."""


class TooManyCrashesError(Exception):
    """The worker has died in every run of a task so far; the task is not started again."""

    letter_reason = "crashes"


class RunLostError(Exception):
    """A task that must not run twice was started, and then its worker died."""

    letter_reason = "worker lost"
