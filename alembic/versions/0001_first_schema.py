"""First schema: mailbox, lanes, identities, names, message map, sessions, leases, aliases, statuses.

Revision 0001, after nothing, 2026-11-23.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The state of gateway.store.schema at this revision, written out: a later change there must not change the past.
key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
millis = sa.BigInteger()


def upgrade() -> None:
    """Make all tables."""
    _mailbox()
    _queue()
    _people()
    _sessions()
    _maps()


def downgrade() -> None:
    """Remove all tables; the one that refers to another goes first."""
    for table in (
        "statuses",
        "aliases",
        "leases",
        "tokens",
        "challenges",
        "message_links",
        "names",
        "identities",
        "once",
        "jobs",
        "lanes",
        "seen",
        "envelopes",
    ):
        op.drop_table(table)


def _mailbox() -> None:
    op.create_table(
        "envelopes",
        sa.Column("seq", serial, primary_key=True),
        sa.Column("id", key, nullable=False),
        sa.Column("recipient", key, nullable=False),
        sa.Column("recipient_name", key, nullable=False),
        sa.Column("sender", key, nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("message_hash", key, nullable=False),
        sa.Column("encrypted_hash", key, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", millis, nullable=False),
        sa.Column("expires_at", millis, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("envelopes_id", "envelopes", ["id"], unique=True)
    op.create_index("envelopes_mailbox", "envelopes", ["recipient", "seq"])
    op.create_index("envelopes_by_message", "envelopes", ["recipient", "message_hash"])
    op.create_index("envelopes_by_encrypted", "envelopes", ["recipient", "encrypted_hash"])
    op.create_index("envelopes_expiry", "envelopes", ["expires_at"])
    op.create_table("seen", sa.Column("id", key, primary_key=True), sa.Column("until", millis, nullable=False))
    op.create_index("seen_expiry", "seen", ["until"])


def _queue() -> None:
    op.create_table(
        "lanes",
        sa.Column("name", key, primary_key=True),
        sa.Column("destination", key, nullable=False),
        sa.Column("due", millis),
        sa.Column("owner", key),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", millis, nullable=False),
    )
    op.create_index("lanes_due", "lanes", ["due"])
    op.create_table(
        "jobs",
        sa.Column("id", serial, primary_key=True),
        sa.Column("lane", key, sa.ForeignKey("lanes.name", name="jobs_lane_fkey"), nullable=False),
        sa.Column("kind", key, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", key),
        sa.Column("state", key, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", millis, nullable=False),
        sa.Column("expires_at", millis, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("jobs_lane", "jobs", ["lane", "state", "id"])
    op.create_index("jobs_state", "jobs", ["state", "expires_at"])
    op.create_table(
        "once",
        sa.Column("scope", key, primary_key=True),
        sa.Column("key", key, primary_key=True),
        sa.Column("expires_at", millis, nullable=False),
    )
    op.create_index("once_expiry", "once", ["expires_at"])


def _people() -> None:
    op.create_table(
        "identities",
        sa.Column("id", serial, primary_key=True),
        sa.Column("network", key, nullable=False),
        sa.Column("canonical_id", key, nullable=False),
        sa.Column("name", key, nullable=False),
        sa.Column("address", key, nullable=False),
        sa.Column("level", key, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sealed_salt", sa.LargeBinary()),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("created_at", millis, nullable=False),
        sa.Column("rotated_at", millis),
        sa.UniqueConstraint("network", "canonical_id", name="identities_person"),
        sa.UniqueConstraint("name", name="identities_name"),
        sa.UniqueConstraint("address", name="identities_address"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "names",
        sa.Column("name", key, primary_key=True),
        sa.Column("node", sa.LargeBinary(), nullable=False),
        sa.Column("path", key, nullable=False),
        sa.Column("owner", key),
        sa.Column("address", sa.LargeBinary()),
        sa.Column("coins", sa.Text(), nullable=False),
        sa.Column("texts", sa.Text(), nullable=False),
        sa.Column("contenthash", sa.LargeBinary()),
        sa.Column("created_at", millis, nullable=False),
        sa.Column("updated_at", millis, nullable=False),
        sa.UniqueConstraint("node", name="names_node"),
    )
    op.create_index("names_path", "names", ["path"], unique=True)


def _sessions() -> None:
    op.create_table(
        "challenges",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("subject", key, nullable=False),
        sa.Column("purpose", key, nullable=False),
        sa.Column("expires_at", millis, nullable=False),
    )
    op.create_index("challenges_expiry", "challenges", ["expires_at"])
    op.create_table(
        "tokens",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("name", key, nullable=False),
        sa.Column("address", key, nullable=False),
        sa.Column("signing_key", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", millis, nullable=False),
    )
    op.create_index("tokens_address", "tokens", ["address"])
    op.create_index("tokens_expiry", "tokens", ["expires_at"])
    op.create_table(
        "leases",
        sa.Column("name", key, primary_key=True),
        sa.Column("owner", key, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until", millis, nullable=False),
    )


def _maps() -> None:
    op.create_table(
        "message_links",
        sa.Column("network", key, primary_key=True),
        sa.Column("native_id", key, primary_key=True),
        sa.Column("conversation", key, primary_key=True),
        sa.Column("part", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("message_hash", key, nullable=False),
        sa.Column("encrypted_hash", key, nullable=False),
        sa.Column("outbound", sa.Boolean(), nullable=False),
        sa.Column("created_at", millis, nullable=False),
    )
    op.create_index("message_links_by_message", "message_links", ["network", "message_hash"])
    op.create_index("message_links_by_encrypted", "message_links", ["network", "encrypted_hash"])
    op.create_index("message_links_by_conversation", "message_links", ["network", "conversation"])
    op.create_index("message_links_age", "message_links", ["created_at"])
    op.create_table(
        "aliases",
        sa.Column("network", key, primary_key=True),
        sa.Column("alias", key, primary_key=True),
        sa.Column("target", key, nullable=False),
    )
    op.create_table(
        "statuses",
        sa.Column("network", key, primary_key=True),
        sa.Column("native_id", key, primary_key=True),
        sa.Column("recipient", key, primary_key=True),
        sa.Column("state", key, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", millis, nullable=False),
    )
    op.create_index("statuses_age", "statuses", ["at"])
