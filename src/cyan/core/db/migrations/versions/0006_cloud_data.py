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
    op.create_table(
        "environment_layer",
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("latest", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=24), nullable=False),
        sa.Column("updated_by", sa.String(length=24), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=True),
        sa.Column("rollout_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("rollout_by", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("owner_id", "device_id", name=op.f("pk_environment_layer")),
    )


def downgrade() -> None:
    op.drop_table("environment_layer")
    op.drop_table("secrets_secret")
