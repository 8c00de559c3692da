"""What people of other networks manage by commands: failed messages, pauses, names, reports; values of adapters.

Revision 0004, after 0003, 2026-11-28.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The state of gateway.store.schema at this revision, written out: a later change there must not change the past.
key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
millis = sa.BigInteger()
serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns and tables; statuses that are there have no sender, and nobody is paused."""
    op.create_table(
        "adapter_values",
        sa.Column("network", key, primary_key=True),
        sa.Column("kind", key, primary_key=True),
        sa.Column("key", key, primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", millis, nullable=False),
    )
    op.add_column("statuses", sa.Column("sender", key, nullable=False, server_default=""))
    op.create_index("statuses_by_sender", "statuses", ["network", "sender", "at"])
    op.create_table(
        "failed_messages",
        sa.Column("id", serial, primary_key=True),
        sa.Column("network", key, nullable=False),
        sa.Column("sender", key, nullable=False),
        sa.Column("recipient", key, nullable=False),
        sa.Column("native_id", key, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", millis, nullable=False),
    )
    op.create_index("failed_messages_by_sender", "failed_messages", ["network", "sender", "at"])
    op.create_index("failed_messages_age", "failed_messages", ["at"])
    op.add_column("identities", sa.Column("paused_until", millis))
    chosen = sa.Column("display_name_chosen", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("identities", chosen)
    op.add_column("lanes", sa.Column("person", key))
    op.create_index("lanes_person", "lanes", ["person"])
    op.add_column("message_links", sa.Column("envelope", key))
    op.add_column("message_links", sa.Column("holder", key))


def downgrade() -> None:
    """Remove what was added. Who paused gets mail again; failed messages and the values of adapters are lost."""
    op.drop_column("message_links", "holder")
    op.drop_column("message_links", "envelope")
    op.drop_index("lanes_person", "lanes")
    op.drop_column("lanes", "person")
    op.drop_column("identities", "display_name_chosen")
    op.drop_column("identities", "paused_until")
    op.drop_table("failed_messages")
    op.drop_index("statuses_by_sender", "statuses")
    op.drop_column("statuses", "sender")
    op.drop_table("adapter_values")
