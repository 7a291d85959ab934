"""The project's own settings: variables that begin with `APP_`."""

from pathlib import Path

from pydantic import Field, SecretStr

from .runtime.artifacts import ArtifactsURL
from .runtime.config import {{ "Count, " if cookiecutter.__chords }}ProjectSettings, Seconds, reader


class Settings(ProjectSettings):
    """One field for each variable, without `APP_` and in small letters: here mail and files."""

    # What has no default that is right on a server.
    needed_on_servers = ("artifacts_url", "smtp_host")

    # The folder or object store (s3://bucket/prefix, with s3fs installed) for files of tasks.
    artifacts_url: ArtifactsURL = Field(
        default_factory=lambda: (Path.cwd() / ".celery/artifacts").as_uri()
    )

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

    # The task maintenance.check_disk fails if less is free.
    min_free_disk_percent: float = Field(default=10, gt=0, le=100)


#: Returns the settings of this process, read once; a worker that has wrong ones does not start.
settings = reader(Settings)
