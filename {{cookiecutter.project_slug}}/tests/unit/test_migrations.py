import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import inspect

from {{ cookiecutter.package_name }} import models
from {{ cookiecutter.package_name }}.runtime.sql import database


def test_models_and_migrations_agree(tables: None, migrations: Config) -> None:
    command.check(migrations)


def test_a_table_without_a_migration_is_noticed(tables: None, migrations: Config) -> None:
    with database.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outbox ADD COLUMN forgotten INTEGER")
    with pytest.raises(CommandError, match="forgotten"):
        command.check(migrations)
    with database.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outbox DROP COLUMN forgotten")


def test_every_migration_can_be_undone(tables: None, migrations: Config) -> None:
    assert set(models.Base.metadata.tables) <= set(inspect(database.engine()).get_table_names())
    command.downgrade(migrations, "base")
    assert inspect(database.engine()).get_table_names() == ["alembic_version"]
    command.upgrade(migrations, "head")


def test_the_statements_can_be_read_before_they_run(
    migrations: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    command.upgrade(migrations, "head", sql=True)
    written = capsys.readouterr().out
    for table in models.Base.metadata.tables:
        assert f"CREATE TABLE {table}" in written
