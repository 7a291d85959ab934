"""The Django app of this package, with jobs, commands of `manage.py` and system checks."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The app `jobs`; label and tables have this name, whatever the package is called."""

    name = __package__
    label = "jobs"

    def ready(self) -> None:
        """Register the system checks, and let structlog write through Django's loggers."""
        from ..logs.setup import bind_structlog
        from . import checks  # noqa: F401

        bind_structlog()
