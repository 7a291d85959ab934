"""The Django app of the example."""

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    """Accounts and payments."""

    name = __package__
    label = "payments"

    def ready(self) -> None:
        """Connect the signals."""
        from . import signals  # noqa: F401
