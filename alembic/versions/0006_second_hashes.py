"""Envelopes whose two hashes are one need no second entry of it.

Revision 0006, after 0005, 2026-11-27.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DIFFERS = sa.text("encrypted_hash <> message_hash")


def upgrade() -> None:
    """Make the index anew, of the envelopes that are found by it alone."""
    op.drop_index("envelopes_by_encrypted", "envelopes")
    op.create_index(
        "envelopes_by_encrypted",
        "envelopes",
        ["recipient", "encrypted_hash"],
        sqlite_where=DIFFERS,
        postgresql_where=DIFFERS,
    )


def downgrade() -> None:
    """Make it anew, of all envelopes."""
    op.drop_index("envelopes_by_encrypted", "envelopes")
    op.create_index("envelopes_by_encrypted", "envelopes", ["recipient", "encrypted_hash"])
