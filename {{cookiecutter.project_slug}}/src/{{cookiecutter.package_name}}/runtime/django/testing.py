"""Django, set up for tests."""

import os

import django

#: Beginnings of the names of variables that configure Django.
PREFIXES = ("ALLOWED_", "CSRF_", "DJANGO_", "SECRET_", "SECURE_")


def set_up(settings: str) -> None:
    """Set Django up, with the database of TEST_DATABASE_URL or a SQLite.

    pytest-django would read the settings before the variables of the caller's shell are removed.

    Args:
        settings: The name of the module with its settings.
    """
    for name in list(os.environ):
        if name.startswith(PREFIXES):
            del os.environ[name]
    os.environ["LOG_LEVEL"] = "WARNING"
    local = "sqlite:///.celery/tests.sqlite3"
    os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", local)
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    django.setup()
