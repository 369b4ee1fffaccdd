"""First light: accounts, devices, sessions, events, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts_user",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("username", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("is_operator", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("password_changed_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_user")),
        sa.UniqueConstraint("username", name=op.f("uq_accounts_user_username")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_entry_actor_id"), "audit_entry", ["actor", "id"], unique=False)
    op.create_index(
        op.f("ix_audit_entry_subject_id"), "audit_entry", ["subject", "id"], unique=False
    )
    op.create_table(
        "devices_device",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.String(length=24), nullable=True),
        sa.Column("registered_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=True),
        sa.Column("key_fingerprint", sa.String(length=64), nullable=True),
        sa.Column("key_pinned_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("platform_id", sa.Integer(), nullable=True),
        sa.Column("product_id", sa.Integer(), nullable=True),
        sa.Column("product_version", sa.Integer(), nullable=True),
        sa.Column("system_version", sa.Integer(), nullable=True),
        sa.Column("first_online_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_handshake_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_ip_address", sa.String(length=45), nullable=True),
        sa.Column("functions", sa.Text(), nullable=True),
        sa.Column("variables", sa.Text(), nullable=True),
        sa.Column("system", sa.Text(), nullable=True),
        sa.Column("safe_mode", sa.Boolean(), nullable=True),
        sa.Column("imei", sa.String(length=32), nullable=True),
        sa.Column("iccid", sa.String(length=32), nullable=True),
        sa.Column("modem_firmware", sa.String(length=64), nullable=True),
        sa.Column("updates_enabled", sa.Boolean(), nullable=True),
        sa.Column("updates_forced", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices_device")),
        sa.UniqueConstraint("key_fingerprint", name=op.f("uq_devices_device_key_fingerprint")),
    )
    op.create_index(
        "uq_devices_device_owner_id_name", "devices_device", ["owner_id", "name"], unique=True
    )
    op.create_table(
        "devices_lease",
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_devices_lease")),
    )
    op.create_table(
        "devices_presence",
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("adoption", sa.Integer(), nullable=False),
        sa.Column("last_heard_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_handshake_ms", sa.BigInteger(), nullable=False),
        sa.Column("ip_address", sa.String(length=45), nullable=False),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_devices_presence")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events_cursor",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_events_cursor")),
    )
    op.create_table(
        "events_event",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("end_byte", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("published_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.String(length=24), nullable=False),
        sa.Column("owner_id", sa.String(length=24), nullable=True),
        sa.Column("content_format", sa.Integer(), nullable=False),
        sa.Column("ttl_s", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("session", sa.LargeBinary(), nullable=True),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_events_event")),
    )
    op.create_table(
        "events_secret",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_events_secret")),
    )
    op.create_table(
        "gateway_session",
        sa.Column("connection_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=True),
        sa.Column("format", sa.Integer(), nullable=False),
        sa.Column("cold", sa.LargeBinary(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("adoption", sa.Integer(), nullable=False),
        sa.Column("highest_received", sa.BigInteger(), nullable=False),
        sa.Column("replay_window", sa.LargeBinary(length=8), nullable=False),
        sa.Column("device_message_id", sa.Integer(), nullable=False),
        sa.Column("next_message_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.LargeBinary(length=28), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("heard_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("established_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_gateway_session")),
    )
    op.create_index(
        op.f("ix_gateway_session_device_id"), "gateway_session", ["device_id"], unique=False
    )
    op.create_index(op.f("ix_gateway_session_holder"), "gateway_session", ["holder"], unique=False)
    op.create_table(
        "plans_account",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("plan", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_plans_account")),
    )
    op.create_table(
        "plans_plan",
        sa.Column("word", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=64), nullable=False),
        sa.Column("max_developer_devices", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_plans_plan")),
    )
    op.create_table(
        "accounts_token",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("refresh_sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("refresh_expires_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_accounts_token_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_token")),
        sa.UniqueConstraint("refresh_sha256", name=op.f("uq_accounts_token_refresh_sha256")),
        sa.UniqueConstraint("sha256", name=op.f("uq_accounts_token_sha256")),
    )
    op.create_index(op.f("ix_accounts_token_user_id"), "accounts_token", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_accounts_token_user_id"), table_name="accounts_token")
    op.drop_table("accounts_token")
    op.drop_table("plans_plan")
    op.drop_table("plans_account")
    op.drop_index(op.f("ix_gateway_session_holder"), table_name="gateway_session")
    op.drop_index(op.f("ix_gateway_session_device_id"), table_name="gateway_session")
    op.drop_table("gateway_session")
    op.drop_table("events_secret")
    op.drop_table("events_event")
    op.drop_table("events_cursor")
    op.drop_table("devices_presence")
    op.drop_table("devices_lease")
    op.drop_index("uq_devices_device_owner_id_name", table_name="devices_device")
    op.drop_table("devices_device")
    op.drop_index(op.f("ix_audit_entry_subject_id"), table_name="audit_entry")
    op.drop_index(op.f("ix_audit_entry_actor_id"), table_name="audit_entry")
    op.drop_table("audit_entry")
    op.drop_table("accounts_user")
