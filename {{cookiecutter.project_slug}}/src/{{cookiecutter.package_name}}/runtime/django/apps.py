"""The Django app of this package: jobs, commands of `manage.py` and system checks."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The label and the tables are those of jobs, whatever the package is called."""

    name = __package__
    label = "jobs"

    def ready(self) -> None:
        """Register the checks of settings."""
        from . import checks  # noqa: F401
