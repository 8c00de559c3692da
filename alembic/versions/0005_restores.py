"""What a restored database must know: who was deleted for good, and which line of history it belongs to.

Revision 0005, after 0004, 2026-11-26.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The state of gateway.store.schema at this revision, written out: a later change there must not change the past.
key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
millis = sa.BigInteger()


def upgrade() -> None:
    """Add two tables. Rows of people deleted before stay: without the seed no digest can be made of them."""
    op.create_table(
        "tombstones",
        sa.Column("digest", key, primary_key=True),
        sa.Column("at", millis, nullable=False),
    )
    op.create_table(
        "lineage",
        sa.Column("epoch", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("id", key, nullable=False),
        sa.Column("at", millis, nullable=False),
    )


def downgrade() -> None:
    """Remove both: who was deleted since can be given a name again."""
    op.drop_table("lineage")
    op.drop_table("tombstones")
