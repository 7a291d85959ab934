"""Building blocks of tables: names of constraints, column types, and the base of runtime tables.

The runtime's tables have a base class and metadata of their own, so that the project's revisions
(`alembic revision --autogenerate`) concern the project's tables alone.
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

#: The type of an auto-incrementing primary key; on SQLite, only an `INTEGER` can be one.
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class Moment(sa.TypeDecorator[datetime]):
    """A time with an offset. SQLite stores no offset, so it is written and read in UTC."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the value to store."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the value that was read."""
        return value and value.replace(tzinfo=value.tzinfo or UTC)


#: Column types by the type in `Mapped[...]`.
TYPES: dict[Any, Any] = {int: sa.BigInteger, str: sa.Text, datetime: Moment}


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The base class of the runtime's tables."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = TYPES
