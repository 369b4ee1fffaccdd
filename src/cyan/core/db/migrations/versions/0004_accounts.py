"""Accounts whole: profiles, second factor, OAuth clients, invitations, password resets."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts_profile",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=False),
        sa.Column("last_name", sa.String(length=100), nullable=False),
        sa.Column("business_account", sa.Boolean(), nullable=False),
        sa.Column("company_name", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_accounts_profile_user_id")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_accounts_profile")),
    )
    op.create_table(
        "accounts_totp",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("enabled_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_accounts_totp_user_id")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_accounts_totp")),
    )
    op.create_table(
        "accounts_client",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=True),
        sa.Column("scope", sa.String(length=200), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts_user.id"], name=op.f("fk_accounts_client_owner_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_client")),
    )
    op.create_index(
        op.f("ix_accounts_client_owner_id"), "accounts_client", ["owner_id"], unique=False
    )
    op.create_table(
        "accounts_invitation",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("username", sa.String(length=254), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_accounts_invitation")),
    )
    op.create_table(
        "accounts_reset",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_accounts_reset_user_id")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_accounts_reset")),
        sa.UniqueConstraint("sha256", name=op.f("uq_accounts_reset_sha256")),
    )


def downgrade() -> None:
    op.drop_table("accounts_reset")
    op.drop_table("accounts_invitation")
    op.drop_index(op.f("ix_accounts_client_owner_id"), table_name="accounts_client")
    op.drop_table("accounts_client")
    op.drop_table("accounts_totp")
    op.drop_table("accounts_profile")
