"""What tables are made of: names of constraints, column types, and the base of the runtime's own.

The runtime's tables have a base and metadata of their own, so that the project's revisions
(`alembic revision --autogenerate`) are about the project's tables alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

#: Constraints have names, so that a later migration can change them
#: (https://alembic.sqlalchemy.org/en/latest/naming.html).
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

#: The type of a primary key that counts up by itself, which on SQLite only an `INTEGER` does.
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class Moment(sa.TypeDecorator[datetime]):
    """A time with its offset; SQLite keeps none, so it goes in and comes out in UTC."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return it as it is kept."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return it as it is read."""
        return value and value.replace(tzinfo=value.tzinfo or UTC)


#: Column types by the type in `Mapped[...]`.
TYPES: dict[Any, Any] = {int: sa.BigInteger, str: sa.Text, datetime: Moment}


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The tables of the runtime."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = TYPES
