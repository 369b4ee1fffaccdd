"""Binaries that were compiled; their files, as all of firmware, are in the data folder.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "firmware_binary",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("platform_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_firmware_binary")),
    )
    op.create_index(
        op.f("ix_firmware_binary_owner_id_created_at_ms"),
        "firmware_binary",
        ["owner_id", "created_at_ms"],
        unique=False,
    )
    op.create_index(
        op.f("ix_firmware_binary_expires_at_ms"),
        "firmware_binary",
        ["expires_at_ms"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("firmware_binary")
