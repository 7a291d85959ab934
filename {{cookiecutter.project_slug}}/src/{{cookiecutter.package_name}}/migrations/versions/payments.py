"""Accounts and payments."""

import sqlalchemy as sa
from alembic import op

revision = "payments"
down_revision = None
branch_labels = "project"
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "account",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("balance >= 0", name="ck_account_covered"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("email", name="uq_account_email"),
    )
    op.create_table(
        "payment",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_payment_account_id"),
        sa.PrimaryKeyConstraint("key", name="pk_payment"),
    )
    op.create_index("ix_payment_account_id", "payment", ["account_id"])
    op.create_index("ix_payment_made_at", "payment", ["made_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("payment")
    op.drop_table("account")
