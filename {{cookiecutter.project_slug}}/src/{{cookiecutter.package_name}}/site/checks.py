"""A check of Django: settings of Celery in `settings.py`, which Celery would not read.

They are in the configuration classes, and `settings.py` only shows them to Django packages.
"""

from __future__ import annotations

from typing import Any

from celery.app import defaults
from django.conf import settings
from django.core import checks

from ..celery import app
from ..config import Base

PACKAGE = __package__.partition(".")[0]
PREFIXES = ("CELERY_", "CELERYD_", "CELERYBEAT_", "BROKER_")


def place(name: str) -> str:
    """Say where a setting belongs."""
    setting = name.removeprefix("CELERY_").lower()
    setting = defaults._TO_NEW_KEY.get(name, setting)  # type: ignore[attr-defined]
    if setting == "beat_schedule":
        return f"Put its entries into SCHEDULE in {PACKAGE}/schedule.py."
    if setting in {"task_queues", "task_routes"}:
        return f"Change the table in {PACKAGE}/queues.py."
    if setting in Base.model_fields:
        return (
            f"Set the variable CELERY_{setting.upper()}, or change the field {setting} of a class"
            f" in {PACKAGE}/config.py."
        )
    return f"Add the field {setting} to the class Base in {PACKAGE}/config.py."


def is_shown(name: str) -> bool:
    """Whether a setting is what the app has, for other packages to see."""
    setting = name.removeprefix("CELERY_").lower()
    return setting in Base.model_fields and getattr(settings, name) == app.conf[setting]


@checks.register
def check_celerys_settings(**_: Any) -> list[checks.CheckMessage]:
    """Return an error for every setting that Celery ignores."""
    return [
        checks.Error(
            f"Celery ignores {name} in the settings of Django.",
            hint=place(name),
            id=f"{PACKAGE}.E001",
        )
        for name in sorted(set(dir(settings)))
        if name.startswith(PREFIXES) and not is_shown(name)
    ]
