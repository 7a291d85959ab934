"""The tables of the project.

After a change, run `alembic revision --autogenerate -m "what changes"`, check the file that this
writes into `migrations/versions/`, and run `make migrate`. A test compares models and migrations.
"""

from __future__ import annotations

{% if cookiecutter.__payments %}
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .runtime.sql.tables import NAMES, TYPES, Number, now
{% else %}
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from .runtime.sql.tables import NAMES, TYPES
{% endif %}


class Base(DeclarativeBase):
    """The base class of the project's tables; the runtime's tables have their own."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = TYPES
{% if cookiecutter.__payments %}


class Account(Base):
    """An account, with its balance in cents."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    balance: Mapped[int] = mapped_column(sa.CheckConstraint("balance >= 0", name="covered"))


class Payment(Base):
    """A payment from an account. The payer chooses the key, by which a repetition is recognised."""

    __tablename__ = "payment"

    key: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey(Account.id), index=True)
    amount: Mapped[int]
    made_at: Mapped[datetime] = mapped_column(default=now, index=True)
{% endif %}
