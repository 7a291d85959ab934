"""Running Alembic's migrations, for the project's `migrations/env.py`.

The runtime's revisions are in `versions/` beside this file. They form a branch of their own,
`runtime`, and the project's revisions form the branch `project`, so that an update of the runtime
does not conflict with the project's revisions. Hence there is more than one head:
`alembic upgrade heads` brings all tables up to date, and `alembic downgrade project@-1` undoes the
last revision of the project.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from alembic import context
from alembic.operations.ops import MigrationScript
from alembic.util import CommandError
from sqlalchemy import URL, MetaData, create_engine, pool

from . import sqlite
from .tables import Moment

#: Every table that a revision of the runtime creates, in this project or in another one.
TABLES = frozenset({"outbox", "dead_letter", "celery_taskmeta", "celery_tasksetmeta"})

VERSIONS = Path(__file__).parent / "versions"


def run(url: URL, metadata: MetaData, **options: Any) -> None:
    """Run the migrations for an Alembic command.

    Args:
        url: The URL of the database.
        metadata: The metadata of the project's tables, with which `alembic revision
            --autogenerate` and `alembic check` compare the database.
        options: More options of Alembic's `context.configure`, such as `include_object`.

    Raises:
        CommandError: The command is `alembic downgrade -1`, which does not name a branch; Alembic
            would choose one, and might drop the runtime's tables.
    """
    revision = str(getattr(context.config.cmd_opts, "revision", ""))
    if re.fullmatch(r"-\d+", revision):
        raise CommandError(
            f"alembic downgrade {revision} does not name a branch: use one such as"
            f" project@{revision}, or REVISION@{revision} (`alembic heads` lists both)"
        )
    options = {
        "target_metadata": metadata,
        "include_name": is_of_project,
        "render_item": render,
        "process_revision_directives": continue_branch_of_project,
        **options,
    }
    if context.is_offline_mode():
        write_sql(url, options)
    else:
        migrate(url, options)


def write_sql(url: URL, options: dict[str, Any]) -> None:
    """Write SQL instead of running it, for `alembic upgrade heads --sql`."""
    context.configure(url=url, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()


def migrate(url: URL, options: dict[str, Any]) -> None:
    """Run the migrations in one transaction, which may take longer than that of a task."""
    engine = create_engine(url, poolclass=pool.NullPool)
    # SQLite cannot alter most of a table, so Alembic makes a new table and copies the rows.
    is_sqlite = engine.dialect.name == "sqlite"
    if is_sqlite:
        sqlite.lock_as_servers_do(engine)
    with engine.connect() as connection:
        context.configure(connection=connection, render_as_batch=is_sqlite, **options)
        with context.begin_transaction():
            context.run_migrations()


def is_of_project(name: str | None, kind: str, _: object) -> bool:
    """Return whether a table is the project's; the runtime's are left out of comparisons."""
    return kind != "table" or name not in TABLES


def render(kind: str, thing: Any, _: object) -> str | Literal[False]:
    """Write our types as SQLAlchemy's own, so that migrations do not depend on this package."""
    if kind == "type" and isinstance(thing, Moment):
        return "sa.DateTime(timezone=True)"
    return False


def continue_branch_of_project(
    _: object, __: object, directives: Sequence[MigrationScript]
) -> None:
    """Make `alembic revision` continue the project's branch unless another head is given."""
    heads = [head for head in context.script.get_revisions("heads") if head]
    own = [head.revision for head in heads if Path(head.path).parent != VERSIONS]
    for directive in directives:
        if directive.head in {None, "head"} and len(own) < 2:
            directive.head = own[0] if own else "base"
            if not own:
                directive.branch_label = directive.branch_label or "project"
            folder = Path(context.script.dir) / "versions"
            directive.version_path = directive.version_path or str(folder)
