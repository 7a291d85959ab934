"""The outbox: the first revision of the runtime's branch.

Projects that are older than this branch have its tables already. So its first revisions keep their
old names and create only what is missing.
"""

import sqlalchemy as sa
from alembic import op

revision = "outbox"
down_revision = None
branch_labels = "runtime"
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "outbox",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_outbox"),
        sa.UniqueConstraint("task_id", name="uq_outbox_task_id"),
        if_not_exists=True,
    )


def downgrade() -> None:
    """Drop the table, with the tasks that wait in it."""
    op.drop_table("outbox")
