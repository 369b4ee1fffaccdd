"""Devices whole: flags, transfers, serial numbers, who may make devices known."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("devices_device", sa.Column("serial_number", sa.String(length=32), nullable=True))
    op.add_column("devices_device", sa.Column("mobile_secret", sa.LargeBinary(), nullable=True))
    op.add_column("devices_device", sa.Column("mac_wifi", sa.String(length=17), nullable=True))
    op.add_column("devices_device", sa.Column("development", sa.Boolean(), nullable=True))
    op.add_column("devices_device", sa.Column("forces_updates", sa.Boolean(), nullable=True))
    op.create_index(
        "uq_devices_device_serial_number", "devices_device", ["serial_number"], unique=True
    )
    op.create_table(
        "devices_transfer",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("requester_id", sa.String(length=24), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices_transfer")),
    )
    for column in ("created_at_ms", "owner_id", "requester_id"):
        op.create_index(
            op.f(f"ix_devices_transfer_{column}"), "devices_transfer", [column], unique=False
        )
    op.create_table(
        "devices_registrar",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("granted_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_devices_registrar")),
    )


def downgrade() -> None:
    op.drop_table("devices_registrar")
    for column in ("requester_id", "owner_id", "created_at_ms"):
        op.drop_index(op.f(f"ix_devices_transfer_{column}"), table_name="devices_transfer")
    op.drop_table("devices_transfer")
    op.drop_index("uq_devices_device_serial_number", table_name="devices_device")
    for column in (
        "forces_updates",
        "development",
        "mac_wifi",
        "mobile_secret",
        "serial_number",
    ):
        op.drop_column("devices_device", column)
