"""Settings of the project's database: variables that begin with `DATABASE_`."""

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

#: The databases of a developer's machine and of tests.
LOCAL = LOCAL_FOLDER / "database.sqlite"

#: URLs by dialect.
EXAMPLES = {
    "postgresql": "postgresql://USER:PASSWORD@HOST/NAME",
    "sqlite": "sqlite:////PATH/TO/FILE",
}

#: Drivers by dialect, so that a URL may be written as for other programs, without a driver.
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def local(file: Path = LOCAL) -> str:
    """Return the URL of a developer's own database, and create its folder."""
    make_folder(file.parent)
    return f"sqlite:///{file.absolute()}"


class Database(Variables):
    """How to reach the database, and how long to wait for it."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_")

    #: The dialects that the project is made for: the first for production, the others for a
    #: developer's machine.
    dialects: ClassVar[tuple[str, ...]] = ("postgresql", "sqlite")

    url: str = Field(default="", repr=False)
    # Connections per process; by default, as many as it runs tasks at once.
    pool_size: Count | None = None
    # Seconds to wait for a free connection of the pool.
    pool_timeout: Seconds = 10
    # Seconds to wait for a new connection; like the next setting, for PostgreSQL only.
    connect_timeout: Count = 5
    # Seconds that a statement may take, including its wait for locks; by default, the soft time
    # limit of tasks.
    statement_timeout: Seconds | None = Field(default=None, le=2_000_000)

    @model_validator(mode="after")
    def check_url(self) -> Self:
        """Refuse a URL of another kind of server; in production, also an unsafe or missing one."""
        example = EXAMPLES[self.dialects[0]]
        production = os.environ.get("APP_ENV") in {"staging", "production"}
        if production and not self.url:
            raise ValueError(f"DATABASE_URL is not set: give a URL such as {example}")
        address = self.address
        # If one of these is in the host name, the password was not encoded.
        if (address.host or "").count("@") or any(map(str.isspace, self.url)):
            raise ValueError(f"DATABASE_URL is not a valid URL: {ENCODE}, such as {example}")
        dialect = address.get_backend_name()
        if dialect not in self.dialects:
            raise ValueError(f"DATABASE_URL is refused: use one such as {example}")
        if dialect == "sqlite" and address.database in {None, "", ":memory:"}:
            raise ValueError(
                "DATABASE_URL is refused, because only one thread sees a database in memory:"
                " use a file, such as sqlite:////PATH/TO/FILE"
            )
        if production and dialect != self.dialects[0]:
            raise ValueError(
                "DATABASE_URL is refused, because a file works on one machine only:"
                f" use one such as {example}"
            )
        if production and (reason := unsafe(self.url)):
            raise ValueError(f"DATABASE_URL is refused: {reason}")
        return self

    @property
    def address(self) -> URL:
        """Return the URL for SQLAlchemy."""
        from sqlalchemy import make_url  # not needed by publishers
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.url or local())
        except (ArgumentError, ValueError):  # whose message may contain the password
            raise ValueError(
                f"DATABASE_URL is not a valid URL: use one such as {EXAMPLES[self.dialects[0]]}"
            ) from None
        return url.set(drivername=DRIVERS.get(url.get_backend_name(), url.drivername))

    @classmethod
    def load(cls) -> Self:
        """Return the settings of this process, for programs without an app, such as a migration.

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
    # Seconds between two looks of a caller who waits for a result, and of a chord for its header.
    result_chord_retry_interval: Seconds = 1
