"""Tables of the store, one definition for SQLite and PostgreSQL.

The migrations in alembic/ are what builds them; a test compares the two. All times are integer milliseconds since
the epoch. Hashes, names and addresses are text in the forms of ``gateway.ids``.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)

HISTORY: Final = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every alembic revision from the first to the newest; a revision that is not here is newer than this program."""

REVISION: Final = HISTORY[-1]
"""Revision that this program reads and writes."""

RESTORING: Final = "restoring"
"""Stands in the place of a revision while a restore is at work, so that no program takes the database for done."""

Key = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, as SQLite does anyway: a locale must not reorder pages of a listing."""

Millis = BigInteger
Serial = BigInteger().with_variant(Integer, "sqlite")
"""Row number; SQLite numbers only a column whose type is literally INTEGER."""

metadata = MetaData()

envelopes = Table(
    "envelopes",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", Key, nullable=False),
    Column("recipient", Key, nullable=False),
    Column("recipient_name", Key, nullable=False),
    Column("sender", Key, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("message_hash", Key, nullable=False),
    Column("encrypted_hash", Key, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("received_at", Millis, nullable=False),
    Column("expires_at", Millis, nullable=False),
    Column("holder", Key, nullable=False, server_default=""),
    Column("folder", Key, nullable=False, server_default="inbox"),
    Index("envelopes_id", "id", unique=True),
    Index("envelopes_mailbox", "recipient", "folder", "seq"),
    Index("envelopes_by_message", "recipient", "message_hash"),
    Index("envelopes_by_encrypted", "recipient", "encrypted_hash"),
    Index("envelopes_expiry", "expires_at"),
    # A number is never given twice, so that a page cursor taken before a deletion stays right.
    sqlite_autoincrement=True,
)

HASHES_DIFFER: Final = envelopes.c.encrypted_hash != envelopes.c.message_hash
"""Which envelopes ``envelopes_by_encrypted`` has, and what a query must say to use it.

Older clients name one hash for both, which the other index has. The index is made by revision 0006: to say it here as
well would load PostgreSQL's side of SQLAlchemy, two megabytes that a node on SQLite has no use for.
"""

mailbox_usage = Table(
    "mailbox_usage",
    metadata,
    Column("recipient", Key, primary_key=True),
    Column("scope", Key, primary_key=True),
    Column("key", Key, primary_key=True),
    Column("messages", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""What waits in a mailbox, counted per name that was written to and per holder of the quota it was charged to."""

seen = Table(
    "seen",
    metadata,
    Column("id", Key, primary_key=True),
    Column("until", Millis, nullable=False),
    Index("seen_expiry", "until"),
)
"""Ids of envelopes that were taken, kept when the envelope is gone, so that a repeat is recognised."""

lanes = Table(
    "lanes",
    metadata,
    Column("name", Key, primary_key=True),
    Column("destination", Key, nullable=False),
    Column("due", Millis),
    Column("owner", Key),
    Column("token", BigInteger, nullable=False),
    Column("lease_until", Millis, nullable=False),
    Column("person", Key),
    Index("lanes_due", "due"),
    Index("lanes_person", "person"),
)
"""Ordered queues. ``due`` is null exactly when no job of the lane is ready.

``person`` is the sub-name of the bridged person whose messages leave by this lane, so that they can hurry them.
"""

jobs = Table(
    "jobs",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("lane", Key, ForeignKey("lanes.name", name="jobs_lane_fkey"), nullable=False),
    Column("kind", Key, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("envelope", Key),
    Column("state", Key, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("expires_at", Millis, nullable=False),
    Index("jobs_lane", "lane", "state", "id"),
    Index("jobs_state", "state", "expires_at"),
    sqlite_autoincrement=True,
)

once = Table(
    "once",
    metadata,
    Column("scope", Key, primary_key=True),
    Column("key", Key, primary_key=True),
    Column("expires_at", Millis, nullable=False),
    Index("once_expiry", "expires_at"),
)

identities = Table(
    "identities",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("network", Key, nullable=False),
    Column("canonical_id", Key, nullable=False),
    Column("name", Key, nullable=False),
    Column("address", Key, nullable=False),
    Column("level", Key, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("sealed_salt", LargeBinary),
    Column("display_name", Text, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("rotated_at", Millis),
    Column("owned_name", Key),
    Column("owner_signature", Text),
    Column("linked_at", Millis),
    Column("paused_until", Millis),
    Column("display_name_chosen", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("network", "canonical_id", name="identities_person"),
    UniqueConstraint("name", name="identities_name"),
    UniqueConstraint("address", name="identities_address"),
    Index("identities_owned_name", "owned_name", unique=True),
    sqlite_autoincrement=True,
)
"""``owned_name`` is the name that the person claimed and linked; ``owner_signature`` its wallet's on the profile."""

names = Table(
    "names",
    metadata,
    Column("name", Key, primary_key=True),
    Column("node", LargeBinary, nullable=False),
    Column("path", Key, nullable=False),
    Column("owner", Key),
    Column("address", LargeBinary),
    Column("coins", Text, nullable=False),
    Column("texts", Text, nullable=False),
    Column("contenthash", LargeBinary),
    Column("more", Text, nullable=False, server_default="{}"),
    Column("created_at", Millis, nullable=False),
    Column("updated_at", Millis, nullable=False),
    Column("origin", Key, nullable=False, server_default="operator"),
    Column("expires_at", Millis),
    Column("released_at", Millis),
    Column("sequence", BigInteger, nullable=False, server_default="0"),
    Column("listed", Boolean, nullable=False, server_default=false()),
    Column("reminded", Integer, nullable=False, server_default="0"),
    Column("skeleton", Key, nullable=False, server_default=""),
    UniqueConstraint("node", name="names_node"),
    Index("names_path", "path", unique=True),
    Index("names_owner", "owner"),
    Index("names_skeleton", "skeleton"),
    Index("names_expiry", "expires_at"),
)
"""``path`` is the name with its labels turned round (``eth.gw.bob``): everything under a parent is one range.

A released name keeps its row, without records, so that nobody else gets it too soon and ``sequence``, which numbers the
signed orders of its owners, never starts anew.
"""

reservations = Table(
    "reservations",
    metadata,
    Column("name", Key, primary_key=True),
    Column("kind", Key, nullable=False),
    Column("holder", Key),
    Column("note", Text, nullable=False),
    Column("created_at", Millis, nullable=False),
)
"""Names that the operator keeps back (``reserved``, maybe for one address) or refuses to everybody (``blocked``)."""

audit = Table(
    "audit",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("at", Millis, nullable=False),
    Column("actor", Key, nullable=False),
    Column("action", Key, nullable=False),
    Column("subject", Key, nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index("audit_subject", "subject", "seq"),
    sqlite_autoincrement=True,
)
"""What was done to names, by whom; each digest covers the row and the digest before it."""

admins = Table(
    "admins",
    metadata,
    Column("parent", Key, primary_key=True),
    Column("address", Key, primary_key=True),
    Column("created_at", Millis, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Key, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("label", Text, nullable=False),
    Column("parent", Key, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_by", Key, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("expires_at", Millis),
    Column("revoked_at", Millis),
    Column("used_at", Millis),
    Index("api_keys_digest", "digest", unique=True),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", Key, primary_key=True),
    Column("key", Key, primary_key=True),
    Column("request", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Millis, nullable=False),
    Index("idempotency_age", "created_at"),
)
"""Answers to requests that a caller may send again; ``request`` is the digest of what was asked."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Key, primary_key=True),
    Column("parent", Key, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("disabled_at", Millis),
    Index("webhooks_parent", "parent"),
)

wallet_sessions = Table(
    "wallet_sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("address", Key, nullable=False),
    Column("expires_at", Millis, nullable=False),
    Index("wallet_sessions_expiry", "expires_at"),
)

link_codes = Table(
    "link_codes",
    metadata,
    Column("network", Key, primary_key=True),
    Column("canonical_id", Key, primary_key=True),
    Column("name", Key, nullable=False),
    Column("owner", Key, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", Millis, nullable=False),
    Column("expires_at", Millis, nullable=False),
    Index("link_codes_name", "name"),
    Index("link_codes_expiry", "expires_at"),
)
"""The last code that was sent to each person of another network who is to be linked to a claimed name."""

message_links = Table(
    "message_links",
    metadata,
    Column("network", Key, primary_key=True),
    Column("native_id", Key, primary_key=True),
    Column("conversation", Key, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("message_hash", Key, nullable=False),
    Column("encrypted_hash", Key, nullable=False),
    Column("outbound", Boolean, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("reply_instruction", Text),
    Column("envelope", Key),
    Column("holder", Key),
    Index("message_links_by_message", "network", "message_hash"),
    Index("message_links_by_encrypted", "network", "encrypted_hash"),
    Index("message_links_by_conversation", "network", "conversation"),
    Index("message_links_age", "created_at"),
)

challenges = Table(
    "challenges",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("subject", Key, nullable=False),
    Column("purpose", Key, nullable=False),
    Column("expires_at", Millis, nullable=False),
    Index("challenges_expiry", "expires_at"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("name", Key, nullable=False),
    Column("address", Key, nullable=False),
    Column("signing_key", LargeBinary, nullable=False),
    Column("expires_at", Millis, nullable=False),
    Index("tokens_address", "address"),
    Index("tokens_expiry", "expires_at"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("address", Key, primary_key=True),
    Column("name", Key, nullable=False),
    Column("profile", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("notify", Boolean, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("updated_at", Millis, nullable=False),
)
"""People who use this relay: the profile they registered with, and their rules for senders (JSON)."""

channels = Table(
    "channels",
    metadata,
    Column("address", Key, primary_key=True),
    Column("kind", Key, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("code_digest", LargeBinary),
    Column("code_sent_at", Millis, nullable=False),
    Column("code_attempts", Integer, nullable=False),
    Column("notified_at", Millis, nullable=False),
    Column("created_at", Millis, nullable=False),
)
"""Ways to tell somebody that mail waits: a mail address or a web push subscription, once it is verified."""

traffic = Table(
    "traffic",
    metadata,
    Column("interval_start", Millis, primary_key=True, autoincrement=False),
    Column("messages", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("notifications", BigInteger, nullable=False),
)
"""Figures of the reference's metrics, per interval, of all nodes together."""

services = Table(
    "services",
    metadata,
    Column("url", Key, primary_key=True),
    Column("dialect", Key, nullable=False),
    Column("learned_at", Millis, nullable=False),
)
"""Which spelling of an envelope another delivery service understands."""

leases = Table(
    "leases",
    metadata,
    Column("name", Key, primary_key=True),
    Column("owner", Key, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until", Millis, nullable=False),
)

aliases = Table(
    "aliases",
    metadata,
    Column("network", Key, primary_key=True),
    Column("alias", Key, primary_key=True),
    Column("target", Key, nullable=False),
)

statuses = Table(
    "statuses",
    metadata,
    Column("network", Key, primary_key=True),
    Column("native_id", Key, primary_key=True),
    Column("recipient", Key, primary_key=True),
    Column("state", Key, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Millis, nullable=False),
    Column("sender", Key, nullable=False, server_default=""),
    Index("statuses_age", "at"),
    Index("statuses_by_sender", "network", "sender", "at"),
)
"""``sender`` is the sub-name of who wrote the message; rows from before it was kept have none."""

failed_messages = Table(
    "failed_messages",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("network", Key, nullable=False),
    Column("sender", Key, nullable=False),
    Column("recipient", Key, nullable=False),
    Column("native_id", Key, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Millis, nullable=False),
    Index("failed_messages_by_sender", "network", "sender", "at"),
    Index("failed_messages_age", "at"),
)
"""Messages that could not be delivered, kept for some days so that their writer can ask for another try."""

adapter_values = Table(
    "adapter_values",
    metadata,
    Column("network", Key, primary_key=True),
    Column("kind", Key, primary_key=True),
    Column("key", Key, primary_key=True),
    Column("value", Text, nullable=False),
    Column("at", Millis, nullable=False),
)
"""What an adapter keeps for itself: small values (JSON), set at ``at``."""

tombstones = Table(
    "tombstones",
    metadata,
    Column("digest", Key, primary_key=True),
    Column("at", Millis, nullable=False),
)
"""People who were deleted for good, as digests under a key of the seed: neither of them gets a name here again."""

lineage = Table(
    "lineage",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("id", Key, nullable=False),
    Column("at", Millis, nullable=False),
)
"""Lines of history: the first backup begins one, and every restore another, which ends what was good before it."""
