"""Errors of Redis after which it is worth trying again."""

from redis import exceptions

#: Redis is unreachable, failing over or full. These classes do not derive from Python's OSError.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    exceptions.ConnectionError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.TimeoutError,
)
