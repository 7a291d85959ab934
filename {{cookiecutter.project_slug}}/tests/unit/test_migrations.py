from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from {{ cookiecutter.package_name }} import models
from {{ cookiecutter.package_name }}.runtime.sql import (
    database,
)


def test_models_and_migrations_agree(tables: None, migrations: Config) -> None:
    command.check(migrations)


def test_every_migration_can_be_undone(tables: None, migrations: Config) -> None:
    def names() -> Any:
        return set(sa.inspect(database.engine()).get_table_names())

    assert models.Base.metadata.tables.keys() <= names()
    command.downgrade(migrations, "base")
    assert names() == {"alembic_version"}
    command.upgrade(migrations, "heads")
