"""Variables that Django's settings are made of; each has the name of its setting.

A secret can come from a file: append `_FILE` to its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PositiveInt, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ..config.environment import ConfigurationError, secrets_from_files

#: Used until another one is given, and refused in production.
INSECURE = "insecure-and-only-for-a-developers-machine"

#: What a secret needs at least, as `manage.py check --deploy` says.
SECRET_LENGTH = 50

#: A list that is given as words between commas.
Words = Annotated[tuple[str, ...], NoDecode]


class Environment(BaseSettings):
    """What differs between a developer's machine and a server."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    app_env: str = "development"
    secret_key: str = Field(default=INSECURE, repr=False)
    # Token of the API: Authorization: Bearer ...
    app_api_token: str = Field(default=INSECURE, repr=False)
    database_url: str = Field(default="sqlite:///.celery/db.sqlite3", repr=False)
    # Seconds for which a web process keeps a connection to a database server.
    conn_max_age: PositiveInt = 60
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")
    allowed_hosts: Words = ()
    # Origins with their scheme, where another host serves the forms: https://www.example.com
    csrf_trusted_origins: Words = ()
    # Browsers refuse plain HTTP for as many seconds: raise it to a year when all is well.
    secure_hsts_seconds: PositiveInt = 3600
    secure_hsts_include_subdomains: bool = True
    secure_hsts_preload: bool = True
    static_root: Path = Path(".celery/static")

    @field_validator("allowed_hosts", "csrf_trusted_origins", mode="before")
    @classmethod
    def split(cls, value: Any) -> Any:
        """Split words between commas."""
        if not isinstance(value, str):
            return value
        return tuple(word.strip() for word in value.split(",") if word.strip())

    @property
    def is_server(self) -> bool:
        """Whether nothing may be guessed."""
        return self.app_env in {"staging", "production"}

    @model_validator(mode="after")
    def check_server(self) -> Self:
        """Refuse what is only right on a developer's machine."""
        if self.is_server:
            for name in ("secret_key", "app_api_token"):
                value: str = getattr(self, name)
                if value == INSECURE or len(value) < SECRET_LENGTH:
                    raise ValueError(
                        f"{name.upper()} must be a random text of {SECRET_LENGTH} characters or"
                        " more: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
                    )
            for name in ("database_url", "allowed_hosts"):
                if name not in self.model_fields_set:
                    raise ValueError(f"{name.upper()} is not set")
        return self


def load() -> Environment:
    """Return the variables of this process.

    Raises:
        ConfigurationError: A value is wrong or missing.
    """
    try:
        return Environment(**secrets_from_files(Environment))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        sentences = (
            " ".join(
                [
                    *(str(part).upper() for part in detail["loc"]),
                    detail["msg"].removeprefix("Value error, "),
                ]
            )
            for detail in details
        )
        raise ConfigurationError("; ".join(sentences)) from None
