"""Modules of Device OS releases. Their files, as all of firmware, are in the data folder.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "firmware_system_module",
        sa.Column("platform_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("release", sa.String(length=24), nullable=False),
        sa.Column("function", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("module_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
        sa.Column("dependencies", sa.Text(), nullable=False),
        sa.Column("imported_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "platform_id",
            "release",
            "function",
            "module_index",
            name=op.f("pk_firmware_system_module"),
        ),
    )
    op.create_index(
        op.f("ix_firmware_system_module_platform_id_function_module_index_version"),
        "firmware_system_module",
        ["platform_id", "function", "module_index", "version"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("firmware_system_module")
