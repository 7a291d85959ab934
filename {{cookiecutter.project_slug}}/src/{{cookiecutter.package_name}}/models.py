"""The tables of the project.

After a change: `alembic revision --autogenerate -m "what changes"`, look at the file that this
writes into `migrations/versions/`, then `make migrate`. A test compares models and migrations.
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
    """All tables of the project; those of the runtime are not among them."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = TYPES
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
