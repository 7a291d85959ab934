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

#: Characters of a token that nobody guesses.
SHORTEST_TOKEN = 32

#: Where development keeps a token of its own, which `curl` in the README reads.
LOCAL_TOKEN = Path(".celery") / "admin-token"


class Settings(Variables):
    """Who may administer, and how much a request may ask for."""

    model_config = SettingsConfigDict(env_prefix="APP_")

    env: str = "development"

    # The bearer token of /admin, at least 32 characters, or the path of a file that holds it.
    admin_token: SecretStr = SecretStr("")
    admin_token_file: Path | None = None

    # Requests with a larger body are refused.
    web_max_body_bytes: Count = 1_000_000
    # Calls to the broker at the same time in one process.
    web_threads: Count = Field(default=32, le=1000)

    @model_validator(mode="after")
    def check_token(self) -> Self:
        """Refuse two tokens, a short one, and none outside of development."""
        if self.admin_token_file and self.admin_token.get_secret_value():
            raise ValueError("APP_ADMIN_TOKEN and APP_ADMIN_TOKEN_FILE are both set: unset one")
        token = self.read_token()
        if not token and self.env not in {"staging", "production"}:
            return self
        if len(token) < SHORTEST_TOKEN:
            raise ValueError(
                f"APP_ADMIN_TOKEN has {len(token)} characters and needs {SHORTEST_TOKEN}: use the"
                ' output of `python -c "import secrets; print(secrets.token_urlsafe(32))"`'
            )
        return self

    def read_token(self) -> str:
        """Return the token, or nothing."""
        if self.admin_token_file is None:
            return self.admin_token.get_secret_value()
        return read_secret("APP_ADMIN_TOKEN_FILE", str(self.admin_token_file))

    def token(self) -> str:
        """Return the token of /admin; development makes one up that lasts."""
        return self.read_token() or local_token()


def local_token() -> str:
    """Return the token of this machine, for development: all web processes share it."""
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
