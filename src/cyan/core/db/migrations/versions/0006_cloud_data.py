"""Environment variables, secrets, ledgers and libraries."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secrets_secret",
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=24), nullable=False),
        sa.Column("updated_by", sa.String(length=24), nullable=False),
        sa.Column("last_accessed_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("owner_id", "name", name=op.f("pk_secrets_secret")),
    )


def downgrade() -> None:
    op.drop_table("secrets_secret")
