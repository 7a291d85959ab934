"""Dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "dead_letters"
down_revision = "outbox"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("failed_at", sa.Text(), nullable=False),
        sa.Column("letter", sa.Text(), nullable=False),
        sa.Column("replay", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter"),
        if_not_exists=True,
    )
    op.create_index("ix_dead_letter_failed_at", "dead_letter", ["failed_at"], if_not_exists=True)


def downgrade() -> None:
    """Drop the table, with all dead letters."""
    op.drop_table("dead_letter")
