"""Settings of the project itself: variables that begin with `APP_`."""

from functools import cache
from pathlib import Path
from typing import Any, Self

import fsspec
from celery.signals import worker_init
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from .runtime.config.environment import Variables, read
from .runtime.config.values import {{ "Count, Seconds" if cookiecutter.__chords else "Seconds" }}


class Settings(Variables):
    """Where mail, webhooks and files go."""

    model_config = SettingsConfigDict(env_prefix="APP_")

    env: str = "development"

    # The folder or object store (s3://bucket/prefix, with s3fs installed) for files of tasks.
    artifacts_url: str = Field(default_factory=lambda: (Path.cwd() / ".celery/artifacts").as_uri())

    # Without a host, mail is written to .celery/outbox as .eml files.
    smtp_host: str = ""
    smtp_port: int = Field(default=587, gt=0, lt=2**16)
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_starttls: bool = True
    smtp_timeout: Seconds = 20
    mail_from: str = Field(
        default="noreply@example.com", pattern=r"^([^@<>]+<)?[^@<>\s/:]+@[^@<>\s/:]+>?$"
    )

    webhook_timeout: Seconds = 10
{% include "examples/" ~ cookiecutter.examples ~ "/settings.py" ignore missing %}

    # The task maintenance.check_disk fails if less is free.
    min_free_disk_percent: float = Field(default=10, gt=0, le=100)

    @field_validator("artifacts_url")
    @classmethod
    def check_artifacts(cls, url: str) -> str:
        """Refuse a URL that fsspec cannot use."""
        try:
            fsspec.get_filesystem_class(fsspec.utils.get_protocol(url))
            is_absolute = "://" in url or Path(url).is_absolute()
        except (ValueError, ImportError):
            is_absolute = False
        if not is_absolute:
            raise ValueError(
                "fsspec cannot use it, or its library is not installed: use a URL such as"
                " file:///PATH/TO/FOLDER, or s3://BUCKET/PREFIX with s3fs installed"
            )
        return url

    @model_validator(mode="after")
    def check_production(self) -> Self:
        """Refuse defaults that are only right on a developer's machine."""
        if self.env in {"staging", "production"}:
            missing = {"smtp_host", "artifacts_url"} - self.model_fields_set
            if missing:
                names = ", ".join(f"APP_{name.upper()}" for name in sorted(missing))
                raise ValueError(f"these variables must be set with APP_ENV={self.env}: {names}")
        return self


@cache
def settings() -> Settings:
    """Return the settings, read once.

    Raises:
        ConfigurationError: A value is wrong or missing.
    """
    return read(Settings)


@worker_init.connect
def check_at_start(**_: Any) -> None:
    """Refuse to start a worker with wrong settings, before its first task fails."""
    read(Settings)
