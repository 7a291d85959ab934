"""The Django app of the jobs."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Jobs, and what every task of this project has of Django."""

    name = __package__
    label = "jobs"
