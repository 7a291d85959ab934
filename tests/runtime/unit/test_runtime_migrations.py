import pkgutil
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config, main
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from alembic.util import CommandError

from my_celery_project import config, models
from my_celery_project.runtime import sql
from my_celery_project.runtime.sql import (
    database,
)
from my_celery_project.runtime.sql import (
    migrations as runtime,
)
from my_celery_project.runtime.sql import (
    tables as own,
)
from my_celery_project.runtime.sql.settings import DatabaseResults

#: What a project's own revision makes here.
NEW = "tests_new"

# Each table of the runtime is declared beside what uses it.
for module in pkgutil.iter_modules(sql.__path__, f"{sql.__name__}."):
    import_module(module.name)


def names() -> set[str]:
    """Return the names of the tables in the database."""
    return set(sa.inspect(database.engine()).get_table_names())


def runtime_drift() -> list[object]:
    """Return in what the runtime's tables differ from its revisions."""
    options = {"include_name": lambda name, kind, _: kind != "table" or name in runtime.TABLES}
    metadata: Any = own.Base.metadata
    if issubclass(config.Base, DatabaseResults):
        from celery.backends.database.models import Task

        metadata = [metadata, Task.__table__.metadata]
    with database.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))


@pytest.fixture
def changed() -> Iterator[None]:
    """Have one table more in the project's models."""
    metadata = models.Base.metadata
    table = sa.Table(NEW, metadata, sa.Column("at", own.Moment, primary_key=True))
    yield
    metadata.remove(table)


@pytest.fixture
def copied(migrations: Config, tmp_path: Path) -> Config:
    """Return the configuration of Alembic for a copy of the project's revisions."""
    script, versions = tmp_path / "migrations", tmp_path / "migrations" / "versions"
    shutil.copytree(Path(models.__file__).parent / "migrations", script)
    config = Config()
    for name, value in {
        "script_location": str(script),
        "path_separator": "newline",
        "version_locations": f"{versions}\n{runtime.VERSIONS}",
        "revision_environment": "true",
    }.items():
        config.set_main_option(name, value)
    return config


def test_models_and_migrations_agree(tables: None, migrations: Config) -> None:
    command.check(migrations)


def test_a_table_without_a_migration_is_noticed(
    tables: None, migrations: Config, changed: None
) -> None:
    with pytest.raises(CommandError, match=NEW):
        command.check(migrations)


def test_the_tables_of_the_runtime_agree_with_its_revisions(tables: None) -> None:
    assert runtime_drift() == []
    assert names() - models.Base.metadata.tables.keys() - {"alembic_version"} <= runtime.TABLES


def test_a_column_of_the_runtime_without_a_revision_is_noticed(
    tables: None, migrations: Config
) -> None:
    with database.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outbox ADD COLUMN forgotten INTEGER")
    assert "forgotten" in str(runtime_drift())
    command.check(migrations)  # the project's own revisions have nothing to do with it
    with database.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outbox DROP COLUMN forgotten")


def test_every_migration_can_be_undone(tables: None, migrations: Config) -> None:
    assert models.Base.metadata.tables.keys() | own.Base.metadata.tables.keys() <= names()
    command.downgrade(migrations, "base")
    assert names() == {"alembic_version"}
    command.upgrade(migrations, "heads")


def test_new_revisions_follow_those_of_the_project_and_are_about_its_tables(
    tables: None, copied: Config, changed: None
) -> None:
    def revise(message: str, *, autogenerate: bool) -> tuple[Script, str]:
        # As the command line does, which leaves out the head.
        options: Any = {"head": None, "autogenerate": autogenerate}
        script = command.revision(copied, message, **options)
        assert isinstance(script, Script)
        return script, Path(script.path).read_text(encoding="utf-8")

    own_revisions = sorted((Path(models.__file__).parent / "migrations" / "versions").glob("*.py"))
    last = own_revisions[-1].stem if own_revisions else None
    first, text = revise("more", autogenerate=True)
    assert first.down_revision == last
    assert text.count("op.create_table(") == text.count("op.drop_table(") == 1
    assert "sa.DateTime(timezone=True)" in text
    command.upgrade(copied, "heads")
    second, text = revise("still more", autogenerate=False)
    assert second.down_revision == first.revision
    assert "op." not in text
    command.upgrade(copied, "heads")
    assert NEW in names()
    command.downgrade(copied, "project@-2")
    assert names() & {NEW, "outbox"} == {"outbox"}
    command.downgrade(copied, "base")
    assert names() == {"alembic_version"}


def test_a_downgrade_that_names_no_branch_changes_nothing(
    tables: None, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names()
    with pytest.raises(SystemExit):
        main(["--config", str(request.config.rootpath / "pyproject.toml"), "downgrade", "-1"])
    assert "project@-1" in capsys.readouterr().out
    assert names() == before


def test_the_statements_can_be_read_before_they_run(
    migrations: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    command.upgrade(migrations, "heads", sql=True)
    written = capsys.readouterr().out
    for table in models.Base.metadata.tables:
        assert f"CREATE TABLE {table}" in written
    for table in own.Base.metadata.tables:
        assert f"CREATE TABLE IF NOT EXISTS {table}" in written
