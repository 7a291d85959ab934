"""A Django system check for Celery settings in `settings.py`, which Celery would not read.

Celery gets its settings from the configuration classes. `settings.py` only shows them to other
Django packages.
"""

from __future__ import annotations

from typing import Any

from celery import current_app
from django.conf import settings
from django.core import checks

from ..config.variables import OLD_NAMES

PREFIXES = ("CELERY_", "CELERYD_", "CELERYBEAT_", "BROKER_")

#: The modules that hold the tables of the project, by setting.
TABLES = {"beat_schedule": "schedule", "task_queues": "queues", "task_routes": "queues"}


def setting_of(name: str) -> str:
    """Return the Celery setting that a name means; the name may be one from old versions."""
    lower = name.removeprefix("CELERY_").lower()
    return OLD_NAMES.get(name, lower)


def place(name: str) -> str:
    """Return a sentence that says where a setting belongs."""
    package, setting = current_app.main, setting_of(name)
    if setting in TABLES:
        return f"Change the table in {package}/{TABLES[setting]}.py."
    return (
        f"Set the field {setting} of the class Base in {package}/config.py, or the variable"
        f" CELERY_{setting.upper()} where the class has the field."
    )


def is_shown(name: str) -> bool:
    """Return whether a setting repeats the value that Celery uses, for other packages to read."""
    setting = name.removeprefix("CELERY_").lower()
    return setting in current_app.conf and getattr(settings, name) == current_app.conf[setting]


@checks.register
def check_celerys_settings(**_: Any) -> list[checks.CheckMessage]:
    """Return an error for every setting that Celery ignores."""
    return [
        checks.Error(
            f"Celery ignores {name} in Django's settings.",
            hint=place(name),
            id=f"{current_app.main}.E001",
        )
        for name in sorted(set(dir(settings)))
        if name.startswith(PREFIXES) and not is_shown(name)
    ]
