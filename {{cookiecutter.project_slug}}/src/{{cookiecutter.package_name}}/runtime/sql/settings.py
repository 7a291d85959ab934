"""Where the project's own data is: variables that begin with `DATABASE_`."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from celery import current_app
from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from ..config.environment import LOCAL_FOLDER, Variables, make_folder, read, read_env_file
from ..config.results import KeptResults
from ..config.urls import ENCODE, unsafe
from ..config.values import Count, Seconds

if TYPE_CHECKING:
    from sqlalchemy import URL

#: What a developer's machine uses, and what tests use.
LOCAL = LOCAL_FOLDER / "database.sqlite"

#: URLs by dialect.
EXAMPLES = {
    "postgresql": "postgresql://USER:PASSWORD@HOST/NAME",
    "sqlite": "sqlite:////PATH/TO/FILE",
}

#: Drivers by dialect, so that a URL may be written as other programs take it.
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def local(file: Path = LOCAL) -> str:
    """Return the URL of a developer's own database, whose folder is made."""
    make_folder(file.parent)
    return f"sqlite:///{file.absolute()}"


class Database(Variables):
    """How to reach the database, and how long to wait for it."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_")

    #: The dialects that the project is made for. The first is that of production; the others are
    #: for a developer's machine.
    dialects: ClassVar[tuple[str, ...]] = ("postgresql", "sqlite")

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
        example = EXAMPLES[self.dialects[0]]
        production = os.environ.get("APP_ENV") in {"staging", "production"}
        if production and not self.url:
            raise ValueError(f"DATABASE_URL is not set: give a URL such as {example}")
        address = self.address
        # What is left in the name of the host stood in the password.
        if (address.host or "").count("@") or any(map(str.isspace, self.url)):
            raise ValueError(f"DATABASE_URL is not a valid URL: {ENCODE}, such as {example}")
        dialect = address.get_backend_name()
        if dialect not in self.dialects:
            raise ValueError(f"DATABASE_URL is refused: use one such as {example}")
        if dialect == "sqlite" and address.database in {None, "", ":memory:"}:
            raise ValueError("DATABASE_URL is refused: a database in memory is seen by one thread")
        if production and dialect != self.dialects[0]:
            raise ValueError(f"DATABASE_URL is refused: a file is for one machine, use {example}")
        if production and (reason := unsafe(self.url)):
            raise ValueError(f"DATABASE_URL is refused: {reason}")
        return self

    @property
    def address(self) -> URL:
        """Return the URL as SQLAlchemy takes it."""
        from sqlalchemy import make_url  # which no publisher needs
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.url or local())
        except (ArgumentError, ValueError):  # its text would repeat the password
            raise ValueError(
                f"DATABASE_URL is not a valid URL: use one such as {EXAMPLES[self.dialects[0]]}"
            ) from None
        return url.set(drivername=DRIVERS.get(url.get_backend_name(), url.drivername))

    @classmethod
    def load(cls) -> Self:
        """Return the settings of this process, for what has no app, such as a migration.

        Raises:
            ConfigurationError: A value is wrong or missing.
        """
        read_env_file()
        return read(cls)


@cache
def load() -> Database:
    """Return the settings of the app's database, read once.

    Raises:
        ConfigurationError: A value is wrong or missing.
    """
    app: Any = current_app
    database: type[Database] = app.settings.database
    return database.load()


class DatabaseResults(KeptResults):
    """Results are rows in the project's database."""

    result_backend: str = f"{__package__}.results:Results"
    # Twice a second, who waits for a result looks; a chord waits until its parts have ended.
    result_chord_retry_interval: Seconds = 1
