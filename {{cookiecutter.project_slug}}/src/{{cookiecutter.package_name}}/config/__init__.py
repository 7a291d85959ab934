"""Configuration: one class per environment, chosen by `APP_ENV`.

Every field of a class is a Celery setting and can be overridden by the variable `CELERY_` plus its
name in capitals, or by `..._FILE` with the path of a file that holds a secret. A variable that is
no setting of ours and no option of Celery's command line is refused: it would be ignored.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..runtime.config import variables
from ..runtime.config.environment import (
    ENV_FILE,
    ConfigurationError,
    read,
    read_env_file,
    set_log_levels,
)
from .base import Base
from .development import Development
from .production import Production
from .staging import Staging
from .testing import Testing

__all__ = ["ENVIRONMENTS", "Base", "ConfigurationError", "load"]

ENVIRONMENTS: dict[str, type[Base]] = {
    "development": Development,
    "testing": Testing,
    "staging": Staging,
    "production": Production,
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
            f"APP_ENV is not the name of an environment: use one of {', '.join(ENVIRONMENTS)}"
        )
    settings_class = ENVIRONMENTS[environment]
    if sentences := list(variables.unknown(settings_class)):
        raise ConfigurationError("; ".join(sentences))
    return read(settings_class)
