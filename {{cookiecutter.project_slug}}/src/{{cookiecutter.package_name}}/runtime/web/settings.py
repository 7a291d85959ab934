"""Settings of the web process: variables that begin with `APP_`."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from ..config.environment import Variables, make_folder, read, read_secret
from ..config.values import Count

#: The least number of characters in a token, so that nobody can guess it.
SHORTEST_TOKEN = 32

#: The file with development's own token, which the `curl` commands in docs/web.md read.
LOCAL_TOKEN = Path(".celery") / "admin-token"


class Settings(Variables):
    """The token of administrators, and limits on requests."""

    model_config = SettingsConfigDict(env_prefix="APP_")

    env: str = "development"

    # The bearer token for /admin, at least 32 characters, or the path of a file that holds it.
    admin_token: SecretStr = SecretStr("")
    admin_token_file: Path | None = None

    # Requests with a larger body are refused.
    web_max_body_bytes: Count = 1_000_000
    # How many calls to servers one process may make at the same time.
    web_threads: Count = Field(default=32, le=1000)
    # How many event streams one process may hold open; by default, as many as its framework bears.
    web_streams: Count | None = None

    @model_validator(mode="after")
    def check_token(self) -> Self:
        """Refuse two tokens, a token that is too short, and a server without a token."""
        if self.admin_token_file and self.admin_token.get_secret_value():
            raise ValueError(
                "APP_ADMIN_TOKEN and APP_ADMIN_TOKEN_FILE are both set: unset one of them"
            )
        token = self.read_token()
        if not token and self.env not in {"staging", "production"}:
            return self
        if len(token) < SHORTEST_TOKEN:
            raise ValueError(
                f"APP_ADMIN_TOKEN has {len(token)} characters but needs {SHORTEST_TOKEN}: use the"
                ' output of `python -c "import secrets; print(secrets.token_urlsafe(32))"`'
            )
        return self

    def read_token(self) -> str:
        """Return the token, or nothing."""
        if self.admin_token_file is None:
            return self.admin_token.get_secret_value()
        return read_secret("APP_ADMIN_TOKEN_FILE", str(self.admin_token_file))

    def token(self) -> str:
        """Return the token for /admin; development generates one and keeps it in a file."""
        return self.read_token() or local_token()


def local_token() -> str:
    """Return the token of this machine for development, which all its web processes share."""
    make_folder(LOCAL_TOKEN.parent)
    aside = LOCAL_TOKEN.with_name(f"{LOCAL_TOKEN.name}.{os.getpid()}")
    aside.touch(mode=0o600)
    aside.write_text(secrets.token_urlsafe(SHORTEST_TOKEN), encoding="utf-8")
    with suppress(FileExistsError):
        LOCAL_TOKEN.hardlink_to(aside)
    aside.unlink()
    return LOCAL_TOKEN.read_text(encoding="utf-8")


@cache
def settings() -> Settings:
    """Return the settings, read once.

    Raises:
        ConfigurationError: A value is wrong or missing.
    """
    return read(Settings)
