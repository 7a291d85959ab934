"""What settings are read from: variables of the process, the env file, files that hold a secret."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import BaseSettings

ENV_FILE = Path(".env")


class ConfigurationError(SystemExit):
    """A wrong setting; ends the process with one line on standard error.

    Celery's command line prints any other exception of an app that it imports as a traceback.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(f"Configuration error: {sentence}")


def read_env_file(env_file: Path = ENV_FILE) -> None:
    """Set the variables of a file that the process does not have, except in testing."""
    if os.environ.get("APP_ENV") != "testing":
        for name, value in dotenv_values(env_file).items():
            os.environ.setdefault(name, value or "")


def secrets_from_files(settings_class: type[BaseSettings]) -> dict[str, Any]:
    """Read the settings whose variable ends in `_FILE`.

    Raises:
        ConfigurationError: A file cannot be read, or the variable is set as well.
    """
    secrets: dict[str, Any] = {}
    for field in settings_class.model_fields:
        variable = f"{settings_class.model_config['env_prefix']}{field.upper()}"
        if path := os.environ.get(f"{variable}_FILE"):
            if os.environ.get(variable):
                raise ConfigurationError(f"{variable} and {variable}_FILE are both set: unset one")
            try:
                secrets[field] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigurationError(
                    f"{variable}_FILE={path!r} cannot be read: {error.strerror}"
                ) from None
    return secrets


def explain(error: ValidationError, settings_class: type[BaseSettings]) -> Iterator[str]:
    """Yield one sentence for every wrong value; secrets are not repeated."""
    for detail in error.errors(include_url=False):
        message = detail["msg"].removeprefix("Value error, ")
        if not detail["loc"]:
            yield message
            continue
        prefix = settings_class.model_config["env_prefix"]
        variable = prefix + "__".join(str(part) for part in detail["loc"]).upper()
        field = settings_class.model_fields.get(str(detail["loc"][0]))
        if detail["type"] == "missing":
            yield f"{variable} is not set: {field.description if field else ''}"
        elif field is None or not field.repr:
            yield f"{variable} is wrong: {message}"
        else:
            yield f"{variable}={detail['input']!r} is wrong: {message}"
{% if cookiecutter.__examples or cookiecutter.__api %}


def refusal(error: ValidationError, prefix: str) -> ConfigurationError:
    """Return what is wrong with settings as an error that repeats no value."""
    sentences = (
        " ".join([*(f"{prefix}{part}".upper() for part in detail["loc"]), detail["msg"]])
        for detail in error.errors(include_url=False, include_input=False)
    )
    return ConfigurationError("; ".join(sentences))
{% endif %}
