"""The Django app of the example."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Accounts and payments."""

    name = __package__
    label = "shop"

    def ready(self) -> None:
        """Connect the signals."""
        from . import signals  # noqa: F401
