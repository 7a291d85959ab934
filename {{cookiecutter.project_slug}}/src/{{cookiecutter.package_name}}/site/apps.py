"""Let Django find the commands of this package."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """An app without models."""

    name = __package__
    label = "site"
