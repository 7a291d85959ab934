"""Configuration: one class per environment, chosen by `APP_ENV`.

Every field of a class is a Celery setting and can be overridden by the variable `CELERY_` plus its
name in capitals, or by `..._FILE` with the path of a file that holds a secret. A variable that is
no setting of ours and no option of Celery's command line is refused: it would be ignored.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from .base import PREFIX, Base
from .development import Development
from .environment import (
    ENV_FILE,
    ConfigurationError,
    explain,
    read_env_file,
    secrets_from_files,
    set_log_levels,
)
from .production import Production
from .staging import Staging
from .testing import Testing

if TYPE_CHECKING:
    import click

__all__ = ["ENVIRONMENTS", "Base", "ConfigurationError", "load"]

ENVIRONMENTS: dict[str, type[Base]] = {
    "development": Development,
    "testing": Testing,
    "staging": Staging,
    "production": Production,
}

#: Variables that Celery itself reads before any configuration, and those that a worker sets for the
#: processes that it starts (celery/app/log.py, `setup`).
CELERYS_OWN = {
    f"{PREFIX}{name}"
    for name in (
        *("LOADER", "SKIP_CHECKS", "CONFIG_MODULE"),
        *("LOG_LEVEL", "LOG_FILE", "LOG_REDIRECT", "LOG_REDIRECT_LEVEL"),
    )
}


def load(env_file: Path = ENV_FILE) -> Base:
    """Return the configuration of this process.

    Variables of the process win over those of the env file, which is not read in testing.

    Args:
        env_file: File with variables, for development on one machine.

    Raises:
        ConfigurationError: A value is wrong, or a variable is unknown.
    """
    read_env_file(env_file)
    set_log_levels()
    environment = os.environ.get("APP_ENV") or "development"
    if environment not in ENVIRONMENTS:
        raise ConfigurationError(
            f"APP_ENV={environment!r} is unknown: use one of {', '.join(ENVIRONMENTS)}"
        )
    settings_class = ENVIRONMENTS[environment]
    for sentence in unknown_variables(settings_class):
        raise ConfigurationError(sentence)
    try:
        return settings_class(**secrets_from_files(settings_class))
    except ValidationError as error:
        raise ConfigurationError("; ".join(explain(error, settings_class))) from None


def unknown_variables(settings_class: type[Base]) -> Iterator[str]:
    """Yield a sentence for every `CELERY_` variable that nothing would read."""
    declared = {f"{PREFIX}{name.upper()}" for name in settings_class.model_fields}
    readable = declared | {f"{name}_FILE" for name in declared} | CELERYS_OWN
    given = {
        name.upper().split("__")[0]: name for name in os.environ if name.upper().startswith(PREFIX)
    }
    if unknown := given.keys() - readable:
        readable |= command_line_variables()
        for name in sorted(unknown - readable):
            close = difflib.get_close_matches(name, readable, n=1)
            hint = f"did you mean {close[0]}" if close else "declare the setting in config/base.py"
            yield f"{given[name]} is no known setting: {hint}, or unset it"


def command_line_variables() -> set[str]:
    """Return the variables that stand for an option of Celery's command line."""
    from celery.bin.celery import celery as root

    def walk(command: click.Command, prefix: str) -> Iterator[str]:
        yield from (f"{prefix}_{parameter.name}".upper() for parameter in command.params)
        for name, subcommand in getattr(command, "commands", {}).items():
            yield from walk(subcommand, f"{prefix}_{name}".replace("-", "_"))

    return set(walk(root, PREFIX.rstrip("_")))
