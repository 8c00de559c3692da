"""Issuing names: owners, terms, reservations, links to bridged people, audit log, keys of the interface, webhooks.

Revision 0003, after 0002, 2026-11-26.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The state of gateway.store.schema at this revision, written out: a later change there must not change the past.
key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
millis = sa.BigInteger()
serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

NAME_INDEXES = (("names_owner", "owner"), ("names_skeleton", "skeleton"), ("names_expiry", "expires_at"))
NEW_TABLES = (
    "link_codes",
    "wallet_sessions",
    "webhooks",
    "idempotency",
    "api_keys",
    "admins",
    "audit",
    "reservations",
)


def upgrade() -> None:
    """Add columns and tables; the names that are there are the operator's, without a term."""
    _names()
    op.add_column("identities", sa.Column("owned_name", key))
    op.add_column("identities", sa.Column("owner_signature", sa.Text()))
    op.add_column("identities", sa.Column("linked_at", millis))
    op.create_index("identities_owned_name", "identities", ["owned_name"], unique=True)
    _registry()
    _callers()
    _people()


def downgrade() -> None:
    """Remove what was added. Released names are free at once; links, reservations, the log and keys are lost."""
    for table in NEW_TABLES:
        op.drop_table(table)
    op.execute("UPDATE identities SET level = 'bridged' WHERE owned_name IS NOT NULL")
    op.drop_index("identities_owned_name", "identities")
    for column in ("linked_at", "owner_signature", "owned_name"):
        op.drop_column("identities", column)
    op.execute("DELETE FROM names WHERE released_at IS NOT NULL")
    for index, _ in NAME_INDEXES:
        op.drop_index(index, "names")
    for column in ("skeleton", "reminded", "listed", "sequence", "released_at", "expires_at", "origin", "more"):
        op.drop_column("names", column)


def _names() -> None:
    op.add_column("names", sa.Column("more", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("names", sa.Column("origin", key, nullable=False, server_default="operator"))
    op.add_column("names", sa.Column("expires_at", millis))
    op.add_column("names", sa.Column("released_at", millis))
    op.add_column("names", sa.Column("sequence", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("names", sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("names", sa.Column("reminded", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("names", sa.Column("skeleton", key, nullable=False, server_default=""))
    for index, column in NAME_INDEXES:
        op.create_index(index, "names", [column])


def _registry() -> None:
    op.create_table(
        "reservations",
        sa.Column("name", key, primary_key=True),
        sa.Column("kind", key, nullable=False),
        sa.Column("holder", key),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", millis, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("seq", serial, primary_key=True),
        sa.Column("at", millis, nullable=False),
        sa.Column("actor", key, nullable=False),
        sa.Column("action", key, nullable=False),
        sa.Column("subject", key, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_subject", "audit", ["subject", "seq"])


def _callers() -> None:
    op.create_table(
        "admins",
        sa.Column("parent", key, primary_key=True),
        sa.Column("address", key, primary_key=True),
        sa.Column("created_at", millis, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", key, primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("parent", key, nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_by", key, nullable=False),
        sa.Column("created_at", millis, nullable=False),
        sa.Column("expires_at", millis),
        sa.Column("revoked_at", millis),
        sa.Column("used_at", millis),
    )
    op.create_index("api_keys_digest", "api_keys", ["digest"], unique=True)
    op.create_table(
        "idempotency",
        sa.Column("caller", key, primary_key=True),
        sa.Column("key", key, primary_key=True),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", millis, nullable=False),
    )
    op.create_index("idempotency_age", "idempotency", ["created_at"])
    op.create_table(
        "webhooks",
        sa.Column("id", key, primary_key=True),
        sa.Column("parent", key, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", millis, nullable=False),
        sa.Column("disabled_at", millis),
    )
    op.create_index("webhooks_parent", "webhooks", ["parent"])


def _people() -> None:
    op.create_table(
        "wallet_sessions",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("address", key, nullable=False),
        sa.Column("expires_at", millis, nullable=False),
    )
    op.create_index("wallet_sessions_expiry", "wallet_sessions", ["expires_at"])
    op.create_table(
        "link_codes",
        sa.Column("network", key, primary_key=True),
        sa.Column("canonical_id", key, primary_key=True),
        sa.Column("name", key, nullable=False),
        sa.Column("owner", key, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", millis, nullable=False),
        sa.Column("expires_at", millis, nullable=False),
    )
    op.create_index("link_codes_name", "link_codes", ["name"])
    op.create_index("link_codes_expiry", "link_codes", ["expires_at"])
