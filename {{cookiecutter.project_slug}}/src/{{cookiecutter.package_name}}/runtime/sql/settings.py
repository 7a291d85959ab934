"""Where the project's own data is: variables that begin with `DATABASE_`."""

import os
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..config.environment import Variables, make_folder, read, read_env_file
{% if cookiecutter.database == "postgresql" %}
from ..config.urls import ENCODE, unsafe
{% else %}
from ..config.urls import ENCODE
{% endif %}
from ..config.values import Count, Seconds

EXAMPLE = "{{ cookiecutter._databases[cookiecutter.database].example }}"

#: What a developer's machine uses, and what tests use.
LOCAL = Path(".celery") / "database.sqlite"
{% if cookiecutter.database == "postgresql" %}

#: Drivers by dialect, so that a URL may be written as other programs take it.
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
{% endif %}


def local() -> str:
    """Return the URL of a developer's own database, whose folder is made."""
    make_folder(LOCAL.parent)
    return f"sqlite:///{LOCAL.absolute()}"


class Database(Variables):
    """How to reach the database, and how long to wait for it."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_")

    url: str = Field(default="", repr=False)
    # Connections of a process; without it, as many as it runs tasks at once.
    pool_size: Count | None = None
    # Seconds to wait until a connection of the pool is free.
    pool_timeout: Seconds = 10
    # Seconds to wait until a new one is made; on PostgreSQL, like the next one.
    connect_timeout: Count = 5
    # Seconds that a statement may take, its wait for locks included; without it, the soft time
    # limit of tasks.
    statement_timeout: Seconds | None = Field(default=None, le=2_000_000)

    @model_validator(mode="after")
    def check_url(self) -> Self:
        """Refuse a URL of something else, and in production what is unsafe or not given."""
        production = os.environ.get("APP_ENV") in {"staging", "production"}
        if production and not self.url:
            raise ValueError(f"DATABASE_URL is not set: give a URL such as {EXAMPLE}")
        address = self.address
        # What is left in the name of the host stood in the password.
        if (address.host or "").count("@") or any(map(str.isspace, self.url)):
            raise ValueError(f"DATABASE_URL is not a valid URL: {ENCODE}, such as {EXAMPLE}")
        dialect = address.get_backend_name()
        if dialect {{ 'not in {"postgresql", "sqlite"}' if cookiecutter.database == "postgresql" else '!= "sqlite"' }}:
            raise ValueError(f"DATABASE_URL is refused: use one such as {EXAMPLE}")
        if dialect == "sqlite" and address.database in {None, "", ":memory:"}:
            raise ValueError("DATABASE_URL is refused: a database in memory is seen by one thread")
{% if cookiecutter.database == "postgresql" %}
        if production and dialect == "sqlite":
            raise ValueError(f"DATABASE_URL is refused: a file is for one machine, use {EXAMPLE}")
        if production and (reason := unsafe(self.url)):
            raise ValueError(f"DATABASE_URL is refused: {reason}")
{% endif %}
        return self

    @property
    def address(self) -> URL:
        """Return the URL as SQLAlchemy takes it."""
        try:
            {{ "url =" if cookiecutter.database == "postgresql" else "return" }} make_url(self.url or local())
        except (ArgumentError, ValueError):  # its text would repeat the password
            raise ValueError(
                f"DATABASE_URL is not a valid URL: use one such as {EXAMPLE}"
            ) from None
{% if cookiecutter.database == "postgresql" %}
        return url.set(drivername=DRIVERS.get(url.get_backend_name(), url.drivername))
{% endif %}


@cache
def load() -> Database:
    """Return the settings, read once.

    Raises:
        ConfigurationError: A value is wrong or missing.
    """
    read_env_file()
    return read(Database)
