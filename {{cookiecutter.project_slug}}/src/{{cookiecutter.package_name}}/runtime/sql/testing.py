"""Tables for a test, as migrations make them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from alembic import command
from alembic.config import Config

from ..testing.servers import missing
from . import settings
from .database import engine

#: The databases on which tests run that use tables; those on a server are `make integration`.
DATABASES = [
    "sqlite",
    *([pytest.param("postgresql", marks=pytest.mark.integration)] if find_spec("psycopg") else []),
]


@pytest.fixture
def migrations(request: pytest.FixtureRequest) -> Config:
    """Return what Alembic's commands need."""
    return Config(toml_file=request.config.rootpath / "pyproject.toml")


@pytest.fixture(params=DATABASES)
def tables(
    request: pytest.FixtureRequest,
    empty_folder: None,
    migrations: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Use a database for this test alone, or that of TEST_DATABASE_URL, with migrated tables."""
    monkeypatch.setattr(settings, "load", settings.load.__wrapped__)
    if request.param == "postgresql":
        if not (url := os.environ.get("TEST_DATABASE_URL")):
            missing("TEST_DATABASE_URL is not set: name a PostgreSQL whose tables tests may drop")
        monkeypatch.setenv("DATABASE_URL", url)
    command.upgrade(migrations, "heads")
    yield
    engine.close()
    command.downgrade(migrations, "base")
