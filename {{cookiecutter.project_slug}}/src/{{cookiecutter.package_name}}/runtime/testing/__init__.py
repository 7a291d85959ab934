"""Fixtures for the tests of a project: a worker in memory, real servers, and a fleet on them.

The `tests/conftest.py` of a project calls `clean_environment()` before it imports the app, names
`testing.plugin` among its `pytest_plugins`, and has a fixture `project` that returns a `Project`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..app import App
    from ..config.settings import Settings
    from .servers import Server

#: Beginnings of the names of variables that configure a project.
PREFIXES = ("APP_", "CELERY_", "DATABASE_")


class Outcome(NamedTuple):
    """How a task ended: its state, and its result or error."""

    state: str
    value: Any


@dataclass(frozen=True)
class Project:
    """What the fixtures have to know about a project.

    Args:
        app: The app.
        create_app: Returns an app for given settings.
        settings: The settings that all environments share.
        root: The folder with the Procfile.
        servers: The kind of server to which a setting with a URL leads, such as `broker_url`.
        prepare: Arguments of Python for each command that makes tables for a fleet.
        web: Returns the web application, where there is one.
    """

    app: App
    create_app: Callable[[Any], App]
    settings: type[Settings]
    root: Path
    servers: Mapping[str, type[Server]]
    prepare: Sequence[Sequence[str]] = ()
    web: Callable[[], Any] | None = None


def clean_environment() -> None:
    """Remove the variables that configure a project, and set `APP_ENV` to `testing`.

    Celery reads `CELERY_BROKER_URL` from the process before any configuration object, so a shell
    that points at a real broker would lead every test there (celery/app/utils.py).
    """
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name in {"APP", "BROKER_URL", "RESULT_BACKEND"}:
            del os.environ[name]
    os.environ["APP_ENV"] = "testing"
