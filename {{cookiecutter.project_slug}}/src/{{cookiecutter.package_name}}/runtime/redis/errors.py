"""Errors of a Redis after which it is worth trying again."""

from redis import exceptions

#: A Redis that is away, in a failover or full: these are no errors of Python's own classes.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    exceptions.ConnectionError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.TimeoutError,
)
