"""Attempts to update a device.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "firmware_attempts",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=True),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("batch", sa.String(length=24), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("file_name", sa.String(length=128), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("goal", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("sent_bytes", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("idle_tries", sa.Integer(), nullable=False),
        sa.Column("obstacle", sa.Text(), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_firmware_attempts")),
    )
    op.create_index(
        op.f("ix_firmware_attempts_device_id_created_at_ms"),
        "firmware_attempts",
        ["device_id", "created_at_ms"],
        unique=False,
    )
    op.create_index(
        "ix_firmware_attempts_open",
        "firmware_attempts",
        ["device_id", "created_at_ms", "position"],
        unique=False,
        sqlite_where=sa.text("ended_at_ms IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("firmware_attempts")
