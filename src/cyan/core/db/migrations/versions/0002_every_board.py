"""Every board: claim codes, refused devices, limits of firmware, vitals."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "devices_claim_code",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("device_id", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_devices_claim_code")),
    )
    op.create_index(
        op.f("ix_devices_claim_code_created_at_ms"),
        "devices_claim_code",
        ["created_at_ms"],
        unique=False,
    )
    op.create_index(
        op.f("ix_devices_claim_code_owner_id"), "devices_claim_code", ["owner_id"], unique=False
    )
    op.create_table(
        "devices_refusal",
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("transport", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("first_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "reason", name=op.f("pk_devices_refusal")),
    )
    op.create_index(
        op.f("ix_devices_refusal_last_at_ms"), "devices_refusal", ["last_at_ms"], unique=False
    )
    op.create_table(
        "health_vitals",
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "at_ms", name=op.f("pk_health_vitals")),
    )
    op.create_index(op.f("ix_health_vitals_at_ms"), "health_vitals", ["at_ms"], unique=False)
    op.add_column("devices_device", sa.Column("safe_mode_at_ms", sa.BigInteger(), nullable=True))
    op.add_column(
        "devices_device", sa.Column("application_hash", sa.String(length=64), nullable=True)
    )
    op.add_column("devices_device", sa.Column("max_message_bytes", sa.Integer(), nullable=True))
    op.add_column("devices_device", sa.Column("max_binary_bytes", sa.BigInteger(), nullable=True))
    op.add_column("devices_device", sa.Column("ota_chunk_bytes", sa.Integer(), nullable=True))
    op.add_column(
        "devices_device", sa.Column("cc3000_patch_version", sa.String(length=32), nullable=True)
    )


def downgrade() -> None:
    for column in (
        "cc3000_patch_version",
        "ota_chunk_bytes",
        "max_binary_bytes",
        "max_message_bytes",
        "application_hash",
        "safe_mode_at_ms",
    ):
        op.drop_column("devices_device", column)
    op.drop_index(op.f("ix_health_vitals_at_ms"), table_name="health_vitals")
    op.drop_table("health_vitals")
    op.drop_index(op.f("ix_devices_refusal_last_at_ms"), table_name="devices_refusal")
    op.drop_table("devices_refusal")
    op.drop_index(op.f("ix_devices_claim_code_owner_id"), table_name="devices_claim_code")
    op.drop_index(op.f("ix_devices_claim_code_created_at_ms"), table_name="devices_claim_code")
    op.drop_table("devices_claim_code")
