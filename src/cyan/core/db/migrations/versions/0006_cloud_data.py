"""Environment variables, secrets, ledgers and libraries."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

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
    op.create_table(
        "ledgers_definition",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("archived_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledgers_definition")),
    )
    op.create_index(
        op.f("ix_ledgers_definition_owner_id_name"),
        "ledgers_definition",
        ["owner_id", "name"],
        unique=False,
    )
    for table, key, replaced in (
        ("ledgers_instance", ("ledger_id", "scope_value"), False),
        ("ledgers_version", ("ledger_id", "scope_value", "version"), True),
    ):
        columns: list[SchemaItem] = [
            sa.Column("ledger_id", sa.String(length=24), nullable=False),
            sa.Column("scope_value", sa.String(length=24), nullable=False),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.Column("data", sa.Text(), nullable=False),
            sa.Column("size_bytes", sa.Integer(), nullable=False),
            sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
            sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        ]
        if replaced:
            columns.append(sa.Column("replaced_at_ms", sa.BigInteger(), nullable=False))
        op.create_table(table, *columns, sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")))
    op.create_table(
        "ledgers_listener",
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_ledgers_listener")),
    )
    op.create_table(
        "libraries_upload",
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("properties", sa.Text(), nullable=False),
        sa.Column("archive", sa.LargeBinary(), nullable=False),
        sa.Column("download_key", sa.String(length=40), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "name", "version", name=op.f("pk_libraries_upload")),
        sa.UniqueConstraint("download_key", name=op.f("uq_libraries_upload_download_key")),
    )
    op.create_index(op.f("ix_libraries_upload_name"), "libraries_upload", ["name"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_libraries_upload_name"), table_name="libraries_upload")
    op.drop_table("libraries_upload")
    op.drop_table("ledgers_listener")
    op.drop_table("ledgers_version")
    op.drop_table("ledgers_instance")
    op.drop_index(op.f("ix_ledgers_definition_owner_id_name"), table_name="ledgers_definition")
    op.drop_table("ledgers_definition")
    op.drop_table("environment_layer")
    op.drop_table("secrets_secret")
