"""Let Django find the commands and the checks of this package."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """An app without models."""

    name = __package__
    label = "site"

    def ready(self) -> None:
        """Register the checks; they need the app, which needs the settings."""
        from . import checks  # noqa: F401
