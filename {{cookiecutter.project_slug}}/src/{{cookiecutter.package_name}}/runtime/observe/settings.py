"""Where a process offers its metrics: variables that begin with `APP_METRICS_`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from ..config.environment import Variables

#: The least number of characters in a token.
SHORTEST_TOKEN = 32


class Settings(Variables):
    """Where a process offers its metrics; by default, nowhere."""

    model_config = SettingsConfigDict(env_prefix="APP_METRICS_")

    # The port on which the process answers Prometheus, and the address that it listens on. Each
    # worker of a machine needs a port of its own.
    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    host: str = "127.0.0.1"

    # Where no port can be had: the folder of the "textfile" collector of Prometheus' node_exporter,
    # and how often, in seconds, the process writes its file there.
    folder: Path | None = None
    interval: Annotated[float, Field(ge=1, le=3600)] = 15

    # Web processes offer theirs at the path /metrics instead, to those who send this bearer token
    # of at least 32 characters. Without a token there is no such path.
    token: SecretStr | None = None

    @field_validator("token")
    @classmethod
    def check_token(cls, token: SecretStr | None) -> SecretStr | None:
        """Refuse a token that somebody could guess."""
        if token and (length := len(token.get_secret_value())) < SHORTEST_TOKEN:
            raise ValueError(
                f"it has {length} characters but needs {SHORTEST_TOKEN}; use the output of"
                ' `python -c "import secrets; print(secrets.token_urlsafe(32))"`'
            )
        return token

    @property
    def is_wanted(self) -> bool:
        """Whether the process is to offer its metrics anywhere."""
        return self.port is not None or self.folder is not None
