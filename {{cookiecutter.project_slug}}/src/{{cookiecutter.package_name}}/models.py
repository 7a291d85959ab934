"""The tables of the project.

After a change: `alembic revision --autogenerate -m "what changes"`, look at the file that this
writes into `migrations/versions/`, then `make migrate`. A test compares models and migrations.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: Constraints have names, so that a later migration can change them
#: (https://alembic.sqlalchemy.org/en/latest/naming.html).
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

#: Only an `INTEGER` counts up by itself on SQLite.
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


class Base(DeclarativeBase):
    """All tables."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = {int: sa.BigInteger, str: sa.Text, datetime: Moment}  # noqa: RUF012


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class OutboxMessage(Base):
    """A task to be sent, see `runtime/sql/outbox.py`."""

    __tablename__ = "outbox"

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    task_id: Mapped[str] = mapped_column(unique=True)
    #: JSON: the task with its arguments and options, and the context it was sent in.
    message: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
{% if cookiecutter.__letters == "sql" %}


class Letter(Base):
    """A dead letter, see `runtime/letters/dead_letters.py`."""

    __tablename__ = "dead_letter"

    id: Mapped[str] = mapped_column(primary_key=True)
    failed_at: Mapped[str] = mapped_column(index=True)
    #: Both are JSON.
    letter: Mapped[str]
    replay: Mapped[str | None]
{% endif %}
{% if cookiecutter.__payments %}


class Account(Base):
    """Somebody's money, in cents."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    balance: Mapped[int] = mapped_column(sa.CheckConstraint("balance >= 0", name="covered"))


class Payment(Base):
    """What was taken from an account. The key is the payer's, and makes a repetition the same."""

    __tablename__ = "payment"

    key: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey(Account.id), index=True)
    amount: Mapped[int]
    made_at: Mapped[datetime] = mapped_column(default=now, index=True)
{% endif %}
