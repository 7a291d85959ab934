"""Environment variables for Django's settings; each has the name of its setting.

A secret can be read from a file: append `_FILE` to the name and give the path.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

import dj_database_url
from pydantic import Field, field_validator, model_validator

from ..config.environment import Variables, read
from ..config.urls import ENCODE
from ..config.values import Count

#: The secret key of a developer's machine; refused in production.
INSECURE = "insecure-and-only-for-a-developers-machine"

#: The least number of characters in the token of administrators.
TOKEN_LENGTH = 32

#: The least number of characters in a secret, as `manage.py check --deploy` demands.
SECRET_LENGTH = 50


class Environment(Variables):
    """The settings that differ between a developer's machine and a server."""

    app_env: str = "development"
    secret_key: str = Field(default=INSECURE, repr=False)
    # Tokens, sent as `Authorization: Bearer ...`: one for clients, who send tasks, and one for
    # administrators; on a server without the latter, the administrators' API is closed.
    app_api_token: str = Field(default=INSECURE, repr=False)
    app_admin_token: str = Field(default=INSECURE, repr=False)
    database_url: str = Field(default="sqlite:///.celery/db.sqlite3", repr=False)
    # Seconds for which a web process keeps a connection to a database server open.
    conn_max_age: Count = 60
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    allowed_hosts: tuple[str, ...] = ()
    # Origins with scheme, needed if another host serves the forms: https://www.example.com
    csrf_trusted_origins: tuple[str, ...] = ()
    # Seconds for which browsers refuse plain HTTP: raise it to a year once HTTPS works well.
    secure_hsts_seconds: Count = 3600
    secure_hsts_include_subdomains: bool = True
    secure_hsts_preload: bool = True
    static_root: Path = Path(".celery/static")

    @field_validator("database_url")
    @classmethod
    def check_database(cls, url: str) -> str:
        """Refuse a URL for which Django has no database backend."""
        try:
            dj_database_url.parse(url)
        except ValueError:  # whose message may contain the password
            raise ValueError(
                f"it is not the URL of a database: {ENCODE}, and use one such as"
                " postgresql://USER:PASSWORD@HOST:5432/NAME or sqlite:////PATH/TO/FILE"
            ) from None
        return url

    @field_validator("allowed_hosts")
    @classmethod
    def check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a value that is not a host name, because no request would match it."""
        if any("/" in host for host in hosts):
            raise ValueError("use host names without a scheme, such as www.example.com")
        return hosts

    @field_validator("csrf_trusted_origins")
    @classmethod
    def check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a value that is not an origin, because no request would match it."""
        if not all(re.match("https?://[^/@]+$", origin) for origin in origins):
            raise ValueError("use origins with a scheme, such as https://www.example.com")
        return origins

    @property
    def admin_token(self) -> str:
        """Return the token of administrators, or an empty string if a server has none."""
        return "" if self.is_server and self.app_admin_token == INSECURE else self.app_admin_token

    @property
    def is_server(self) -> bool:
        """Whether this is a server, where insecure defaults are refused."""
        return self.app_env in {"staging", "production"}

    @model_validator(mode="after")
    def check_server(self) -> Self:
        """Refuse values that are only acceptable on a developer's machine."""
        if self.is_server:
            for name in ("secret_key", "app_api_token"):
                value: str = getattr(self, name)
                if value == INSECURE or len(value) < SECRET_LENGTH:
                    raise ValueError(
                        f"{name.upper()} must be a random string of {SECRET_LENGTH} characters or"
                        " more: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
                    )
            token = self.app_admin_token
            if token != INSECURE and len(token) < TOKEN_LENGTH:
                raise ValueError(
                    f"APP_ADMIN_TOKEN has {len(token)} characters but needs {TOKEN_LENGTH}: use the"
                    ' output of `python -c "import secrets; print(secrets.token_urlsafe(32))"`'
                )
            for name in ("database_url", "allowed_hosts"):
                if name not in self.model_fields_set:
                    raise ValueError(f"{name.upper()} is not set")
        return self


def load() -> Environment:
    """Return the settings from the variables of this process.

    Raises:
        ConfigurationError: A value is wrong or missing.
    """
    return read(Environment)
