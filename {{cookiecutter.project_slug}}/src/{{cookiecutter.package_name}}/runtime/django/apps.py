"""The Django app of this package, with jobs, commands of `manage.py` and system checks."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The app `jobs`; label and tables have this name, whatever the package is called."""

    name = __package__
    label = "jobs"

    def ready(self) -> None:
        """Register the system checks, let structlog write through Django's loggers, and trace."""
        from ..logs.setup import bind_structlog
        from ..observer import traces
        from . import checks  # noqa: F401

        bind_structlog()
        traces().web(None, f"{__package__}.traces:instrument")
