"""Flower (https://flower.readthedocs.io), which shows tasks and workers in a browser.

It also stops tasks and workers, so it starts only if those who use it have to log in, and by
default it listens on this machine alone. It asks workers for Celery's events as long as it runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from .config.environment import LOCAL_FOLDER, ConfigurationError, Variables, make_folder, read
from .parts import Part

if TYPE_CHECKING:
    from .app import App

#: Options of its command line by which people have to log in, in place of the variables.
LOGINS = ("--basic-auth", "--auth-provider")

#: Who logs in with a password alone.
USER = "admin"

#: The least number of characters in a password.
SHORTEST_PASSWORD = 12

#: Its options, unless variables or its command line give others: 127.0.0.1; what it knows outlives
#: a restart; 10,000 tasks in memory; workers that are gone for a minute are no longer shown.
DEFAULTS = {
    "ADDRESS": "127.0.0.1",
    "DB": str(LOCAL_FOLDER / "flower"),
    "MAX_TASKS": "10000",
    "PERSISTENT": "true",
    "PURGE_OFFLINE_WORKERS": "60",
    "STATE_SAVE_INTERVAL": "60000",
}


class Settings(Variables):
    """Who may use it; the variables are Flower's own, which has many more."""

    model_config = SettingsConfigDict(env_prefix="FLOWER_")

    # USER:PASSWORD, or the password of the user "admin".
    basic_auth: SecretStr | None = None
    # A class that lets people log in elsewhere, such as flower.views.auth.GithubLoginHandler, and a
    # pattern of the e-mail addresses of those who may.
    auth_provider: str | None = None
    auth: str | None = None

    @field_validator("basic_auth")
    @classmethod
    def check_password(cls, given: SecretStr | None) -> SecretStr | None:
        """Refuse a password that somebody could guess."""
        if given is None:
            return None
        user, _, password = given.get_secret_value().rpartition(":")
        if len(password) < SHORTEST_PASSWORD:
            raise ValueError(
                f"its password has {len(password)} characters but needs {SHORTEST_PASSWORD}: use"
                " USER:PASSWORD with a longer one"
            )
        return SecretStr(f"{user or USER}:{password}")


class Flower(Part):
    """A part that lets `celery flower` start only for people who log in."""

    def install(self, app: App) -> None:
        """Set the options of Flower, if this process runs it.

        Raises:
            ConfigurationError: Nobody would have to log in.
        """
        if command(sys.argv) != "flower":
            return
        settings = read(Settings)
        is_given = any(word.replace("_", "-").startswith(LOGINS) for word in sys.argv)
        if not (settings.basic_auth or settings.auth_provider or is_given):
            raise ConfigurationError(
                "FLOWER_BASIC_AUTH is not set: Flower shows and stops tasks, so people have to log"
                " in; set it to USER:PASSWORD, or set FLOWER_AUTH_PROVIDER and FLOWER_AUTH"
            )
        if settings.auth_provider and not settings.auth:
            raise ConfigurationError(
                "FLOWER_AUTH_PROVIDER is set, but FLOWER_AUTH is not: set it to a pattern of the"
                r" e-mail addresses of those who may log in, such as .*@example\.com"
            )
        if settings.basic_auth:
            os.environ["FLOWER_BASIC_AUTH"] = settings.basic_auth.get_secret_value()
        for name, value in DEFAULTS.items():
            os.environ.setdefault(f"FLOWER_{name}", value)
        if os.environ["FLOWER_DB"] == DEFAULTS["DB"]:
            make_folder(LOCAL_FOLDER)


def command(words: list[str]) -> str:
    """Return the command of `celery` that a process runs, or nothing.

    Args:
        words: The words with which it was started.
    """
    module: Any = sys.modules.get("celery.bin.celery")
    if module is None or Path(words[0]).stem not in {"celery", "__main__"}:
        return ""
    import click

    group = module.celery
    try:
        _, rest, _ = group.make_parser(click.Context(group)).parse_args(list(words[1:]))
    except click.UsageError:
        return ""
    return rest[0] if rest else ""
