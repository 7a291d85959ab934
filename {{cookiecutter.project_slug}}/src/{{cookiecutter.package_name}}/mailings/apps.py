"""The Django app of the mailings."""

from django.apps import AppConfig


class MailingsConfig(AppConfig):
    """Mailings and their recipients."""

    name = __package__
    label = "mailings"
