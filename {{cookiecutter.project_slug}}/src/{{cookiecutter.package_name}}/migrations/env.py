"""What Alembic runs before migrations: `alembic upgrade head`, or `make migrate`."""

from typing import Any, Literal

from alembic import context
{% if cookiecutter.__results_in_database %}
from celery.backends.database.models import Task
{% endif %}
from sqlalchemy import create_engine, pool

from {{ cookiecutter.package_name }}.config import SQL
from {{ cookiecutter.package_name }}.models import Base, Moment
from {{ cookiecutter.package_name }}.runtime.sql import database


def render(kind: str, thing: Any, _: object) -> str | Literal[False]:
    """Write a type of ours as SQLAlchemy's own: what a migration does must not change with us."""
    if kind == "type" and isinstance(thing, Moment):
        return "sa.DateTime(timezone=True)"
    return False


SETTINGS: dict[str, Any] = {
    "target_metadata": {{ "[Base.metadata, Task.__table__.metadata]" if cookiecutter.__results_in_database else "Base.metadata" }},
    "render_item": render,
}


def write_sql() -> None:
    """Write the statements instead of running them: `alembic upgrade head --sql`."""
    context.configure(url=SQL.load().address, literal_binds=True, **SETTINGS)
    with context.begin_transaction():
        context.run_migrations()


def migrate() -> None:
    """Run the migrations in one transaction, which may take longer than one of a task."""
    engine = create_engine(SQL.load().address, poolclass=pool.NullPool)
    database.lock_as_servers_do(engine)
    with engine.connect() as connection:
        # SQLite cannot alter most of a table: Alembic then makes a new one, and copies.
        is_sqlite = engine.dialect.name == "sqlite"
        context.configure(connection=connection, render_as_batch=is_sqlite, **SETTINGS)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    write_sql()
else:
    migrate()
