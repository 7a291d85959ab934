"""The project's own settings: variables that begin with `APP_`."""

from pathlib import Path
from typing import Self

import fsspec
from pydantic import Field, SecretStr, field_validator, model_validator

from .runtime.config.project import ProjectSettings, once
from .runtime.config.values import {{ "Count, Seconds" if cookiecutter.__chords else "Seconds" }}


class Settings(ProjectSettings):
    """One field for each variable, without `APP_` and in small letters: here mail and files."""

    # Folder or object store (s3://bucket/prefix, with s3fs installed) for what tasks produce.
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
{% block more %}
{% endblock %}

    # maintenance.check_disk fails when less is free.
    min_free_disk_percent: float = Field(default=10, gt=0, le=100)

    @field_validator("artifacts_url")
    @classmethod
    def check_artifacts(cls, url: str) -> str:
        """Refuse a place that fsspec cannot reach."""
        try:
            fsspec.get_filesystem_class(fsspec.utils.get_protocol(url))
            is_absolute = "://" in url or Path(url).is_absolute()
        except (ValueError, ImportError):
            is_absolute = False
        if not is_absolute:
            raise ValueError(
                "fsspec knows no such place, or lacks its library: use one such as"
                " file:///PATH/TO/FOLDER, or s3://BUCKET/PREFIX with s3fs installed"
            )
        return url

    @model_validator(mode="after")
    def check_production(self) -> Self:
        """Refuse what is only right on a developer's machine."""
        missing = {"smtp_host", "artifacts_url"} - self.model_fields_set
        if self.is_server and missing:
            names = ", ".join(f"APP_{name.upper()}" for name in sorted(missing))
            raise ValueError(f"APP_ENV={self.env} needs {names}")
        return self


settings = once(Settings)
