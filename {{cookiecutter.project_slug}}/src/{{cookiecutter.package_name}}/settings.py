"""Settings of the project itself: variables that begin with `APP_`."""

from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, PositiveFloat, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .config.environment import refusal


class Settings(BaseSettings):
    """Where mail, webhooks and files go."""

    model_config = SettingsConfigDict(env_prefix="APP_", env_ignore_empty=True, frozen=True)

    env: str = "development"

    # Folder or object store (s3://bucket/prefix, with s3fs installed) for what tasks produce.
    artifacts_url: str = Field(default_factory=lambda: (Path.cwd() / ".celery/artifacts").as_uri())

    # Without a host, mail is written to .celery/outbox as .eml files.
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_starttls: bool = True
    smtp_timeout: PositiveFloat = 20
    mail_from: str = "noreply@example.com"

    webhook_timeout: PositiveFloat = 10
{% include "examples/" ~ cookiecutter.examples ~ "/settings.py" ignore missing %}

    # maintenance.check_disk fails when less is free.
    min_free_disk_percent: PositiveFloat = 10

    @model_validator(mode="after")
    def check_production(self) -> Self:
        """Refuse what is only right on a developer's machine."""
        if self.env in {"staging", "production"}:
            missing = {"smtp_host", "artifacts_url"} - self.model_fields_set
            if missing:
                names = ", ".join(f"APP_{name.upper()}" for name in sorted(missing))
                raise ValueError(f"APP_ENV={self.env} needs {names}")
        return self


@cache
def settings() -> Settings:
    """Return the settings, read once.

    Raises:
        ConfigurationError: A value is wrong or missing.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise refusal(error, "APP_") from None
