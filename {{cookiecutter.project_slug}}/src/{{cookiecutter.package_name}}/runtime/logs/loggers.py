"""Loggers of structlog whose calls never fail a task, whatever a task passes to them."""

from __future__ import annotations

from typing import Any

from structlog.stdlib import BoundLogger

#: Names of arguments of structlog's and the library's own methods.
TAKEN = ("method_name", "event", "positional_args", "stacklevel")


class Bound(BoundLogger):
    """A logger of structlog whose calls take any name as a field, also `event`."""

    def debug(self, event: Any = None, /, *args: Any, **fields: Any) -> Any:
        """Log at level DEBUG."""
        return super().debug(event, *args, **apart(fields))

    def info(self, event: Any = None, /, *args: Any, **fields: Any) -> Any:
        """Log at level INFO."""
        return super().info(event, *args, **apart(fields))

    def warning(self, event: Any = None, /, *args: Any, **fields: Any) -> Any:
        """Log at level WARNING."""
        return super().warning(event, *args, **apart(fields))

    warn = warning

    def error(self, event: Any = None, /, *args: Any, **fields: Any) -> Any:
        """Log at level ERROR."""
        return super().error(event, *args, **apart(fields))

    def critical(self, event: Any = None, /, *args: Any, **fields: Any) -> Any:
        """Log at level CRITICAL."""
        return super().critical(event, *args, **apart(fields))

    fatal = critical

    def exception(self, event: Any = None, /, *args: Any, **fields: Any) -> Any:
        """Log at level ERROR, with the traceback of the error that is being handled."""
        return super().exception(event, *args, **apart(fields))


def apart(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields under names that no method takes."""
    return {f"{name}_" if name in TAKEN else name: value for name, value in fields.items()}
