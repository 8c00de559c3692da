"""Accounts with rules and notification channels, quotas, message requests, traffic figures, dialects of services.

Revision 0002, after 0001, 2026-11-26.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The state of gateway.store.schema at this revision, written out: a later change there must not change the past.
key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
millis = sa.BigInteger()


def upgrade() -> None:
    """Add columns and tables; what waits in mailboxes already is counted, under the quota of unverified senders."""
    op.add_column("envelopes", sa.Column("holder", key, nullable=False, server_default=""))
    op.add_column("envelopes", sa.Column("folder", key, nullable=False, server_default="inbox"))
    op.drop_index("envelopes_mailbox", "envelopes")
    op.create_index("envelopes_mailbox", "envelopes", ["recipient", "folder", "seq"])
    op.add_column("message_links", sa.Column("reply_instruction", sa.Text()))
    _usage()
    _accounts()
    op.create_table(
        "traffic",
        sa.Column("interval_start", millis, primary_key=True, autoincrement=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("notifications", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "services",
        sa.Column("url", key, primary_key=True),
        sa.Column("dialect", key, nullable=False),
        sa.Column("learned_at", millis, nullable=False),
    )


def downgrade() -> None:
    """Remove what was added. Message requests become ordinary mail; rules, channels and figures are lost."""
    for table in ("services", "traffic", "channels", "accounts", "mailbox_usage"):
        op.drop_table(table)
    op.drop_column("message_links", "reply_instruction")
    op.drop_index("envelopes_mailbox", "envelopes")
    op.create_index("envelopes_mailbox", "envelopes", ["recipient", "seq"])
    op.drop_column("envelopes", "folder")
    op.drop_column("envelopes", "holder")


def _usage() -> None:
    op.create_table(
        "mailbox_usage",
        sa.Column("recipient", key, primary_key=True),
        sa.Column("scope", key, primary_key=True),
        sa.Column("key", key, primary_key=True),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
    )
    op.execute(
        "INSERT INTO mailbox_usage (recipient, scope, key, messages, bytes)"
        " SELECT recipient, 'all', '', COUNT(*), SUM(size) FROM envelopes GROUP BY recipient"
    )
    op.execute(
        "INSERT INTO mailbox_usage (recipient, scope, key, messages, bytes)"
        " SELECT recipient, 'name', recipient_name, COUNT(*), SUM(size) FROM envelopes"
        " GROUP BY recipient, recipient_name"
    )
    op.execute(
        "INSERT INTO mailbox_usage (recipient, scope, key, messages, bytes)"
        " SELECT recipient, 'holder', holder, COUNT(*), SUM(size) FROM envelopes GROUP BY recipient, holder"
    )


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("address", key, primary_key=True),
        sa.Column("name", key, nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("created_at", millis, nullable=False),
        sa.Column("updated_at", millis, nullable=False),
    )
    op.create_table(
        "channels",
        sa.Column("address", key, primary_key=True),
        sa.Column("kind", key, primary_key=True),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("code_digest", sa.LargeBinary()),
        sa.Column("code_sent_at", millis, nullable=False),
        sa.Column("code_attempts", sa.Integer(), nullable=False),
        sa.Column("notified_at", millis, nullable=False),
        sa.Column("created_at", millis, nullable=False),
    )
