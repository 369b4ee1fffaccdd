"""What changes with every message of a session goes to a journal, not to the session's row."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gateway_journal",
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("holder", "start", "number", name=op.f("pk_gateway_journal")),
    )


def downgrade() -> None:
    op.drop_table("gateway_journal")
