"""How full mailboxes are: counted when an envelope comes and goes, so that a quota costs the same at any size.

Counted as a whole, per name that was written to, and per holder, which is whoever the envelope is charged to: the
address of a verified sender, or ``UNVERIFIED`` for all the rest together.

Those who write to one mailbox at the same time do so one after the other, from before the first row is touched to the
commit (``lock``; SQLite has one writer anyway). So a page cursor never passes an envelope that becomes visible later,
a quota is exact on any number of nodes, and transactions that write to several mailboxes never wait in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Insert, bindparam, delete, select, text, update

from gateway.ids import EnsName, EnvelopeId, EthAddress
from gateway.store.schema import mailbox_usage
from gateway.store.statement import Statement
from gateway.store.upsert import insert_for

UNVERIFIED: Final = ""
"""Holder of envelopes whose sender was not verified."""
WHOLE: Final = "all"
NAME: Final = "name"
HOLDER: Final = "holder"

LOCK_SPACE: Final = 0x444D33
"""First number of our advisory locks."""
# Mailboxes share 1024 locks: the server's table of locks is small, and a batch can write to hundreds of mailboxes.
_LOCK: Final = text(
    "SELECT pg_advisory_xact_lock(:space, bucket) FROM ("
    " SELECT hashtext(recipient) & 1023 AS bucket FROM unnest(CAST(:recipients AS text[])) AS given (recipient)"
    " UNION SELECT hashtext(recipient) & 1023 FROM envelopes WHERE id = ANY (CAST(:ids AS text[]))"
    " ORDER BY bucket) AS wanted"
)

Key = tuple[str, str, str]
"""Recipient, scope, key: the primary key."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What waits in a mailbox, or of one holder in it."""

    messages: int = 0
    bytes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.messages + other.messages, self.bytes + other.bytes)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.messages - other.messages, self.bytes - other.bytes)

    def fits(self, limit: Usage) -> bool:
        """Neither count passes its limit."""
        return self.messages <= limit.messages and self.bytes <= limit.bytes


@dataclass(frozen=True, slots=True)
class Quota:
    """How much may wait for one name, and of one sender; what comes then is refused, and nothing is pushed out."""

    mailbox: Usage
    """Of one name. Anybody can point names at somebody else's address, where those cannot be read: the mail to them
    must not take the room of the owner's own."""
    sender: Usage
    """Of one verified sender in one mailbox."""

    @property
    def unverified(self) -> Usage:
        """Of all senders together that were not verified: half, so that they cannot fill a mailbox."""
        return Usage(self.mailbox.messages // 2, self.mailbox.bytes // 2)

    def of(self, holder: str) -> Usage:
        """The limit of one holder."""
        return self.unverified if holder == UNVERIFIED else self.sender


@dataclass(frozen=True, slots=True)
class MailboxUsage:
    """What waits for a recipient, expired envelopes that were not yet removed included."""

    recipient: EthAddress

    def run(self, conn: Connection) -> Usage:
        """Read one row by its key."""
        return _used(conn, whole(self.recipient))


@dataclass(frozen=True, slots=True)
class HasRoom:
    """Whether an envelope of this size would be taken now; only the commit that takes it can promise it."""

    recipient: EthAddress
    name: EnsName
    holder: str
    size: int
    quota: Quota

    def run(self, conn: Connection) -> bool:
        """Read two rows by their keys."""
        more = Usage(1, self.size)
        return (_used(conn, of_name(self.recipient, self.name)) + more).fits(self.quota.mailbox) and (
            _used(conn, of_holder(self.recipient, self.holder)) + more
        ).fits(self.quota.of(self.holder))


@dataclass(frozen=True, slots=True)
class MailboxNames:
    """At most ``limit`` names under which mail of a recipient waits, those with most mail first."""

    recipient: EthAddress
    limit: int

    def run(self, conn: Connection) -> list[EnsName]:
        """Read by the key."""
        names = (
            select(mailbox_usage.c.key)
            .where(mailbox_usage.c.recipient == self.recipient, mailbox_usage.c.scope == NAME)
            .order_by(mailbox_usage.c.messages.desc(), mailbox_usage.c.key)
            .limit(self.limit)
        )
        return [EnsName(name) for name in conn.scalars(names)]


def whole(recipient: str) -> Key:
    """The row of a mailbox as a whole."""
    return recipient, WHOLE, ""


def of_name(recipient: str, name: str) -> Key:
    """The row of one name in a mailbox."""
    return recipient, NAME, name


def of_holder(recipient: str, holder: str) -> Key:
    """The row of one holder in a mailbox."""
    return recipient, HOLDER, holder


def _used(conn: Connection, key: Key) -> Usage:
    recipient, scope, of = key
    row = conn.execute(
        select(mailbox_usage.c.messages, mailbox_usage.c.bytes).where(
            mailbox_usage.c.recipient == recipient, mailbox_usage.c.scope == scope, mailbox_usage.c.key == of
        )
    ).first()
    return Usage() if row is None else Usage(row.messages, row.bytes)


def lock(conn: Connection, mailboxes: Collection[EthAddress | EnvelopeId]) -> None:
    """Have these mailboxes for ourselves until the transaction ends (PostgreSQL).

    An envelope stands for its recipient. All are taken in one order, before any row is locked.
    """
    if mailboxes:
        recipients = [each for each in mailboxes if each.startswith("0x")]
        ids = [each for each in mailboxes if not each.startswith("0x")]
        conn.execute(_LOCK, {"space": LOCK_SPACE, "recipients": recipients, "ids": ids})


def charge(conn: Connection, came: Iterable[Any]) -> dict[Key, Usage]:
    """Count envelopes that came; each has recipient, recipient_name, holder and size. Gives what was there before."""
    changes = _by_key(came)
    rows = [
        {"recipient": recipient, "scope": scope, "key": key, "messages": usage.messages, "bytes": usage.bytes}
        for (recipient, scope, key), usage in _in_order(changes)
    ]
    return {
        (recipient, scope, key): Usage(messages, size) - changes[recipient, scope, key]
        for recipient, scope, key, messages, size in _ADD.run(conn, rows)
    }


def release(conn: Connection, gone: Sequence[Any]) -> None:
    """Count envelopes that are gone; each has recipient, recipient_name, holder and size."""
    if not gone:
        return
    changes = _by_key(gone)
    values = [
        {
            "of_recipient": recipient,
            "of_scope": scope,
            "of_key": key,
            "less_messages": usage.messages,
            "less_bytes": usage.bytes,
        }
        for (recipient, scope, key), usage in _in_order(changes)
    ]
    conn.execute(_TAKE_AWAY, values)
    recipients = {recipient for recipient, _, _ in changes}
    conn.execute(delete(mailbox_usage).where(mailbox_usage.c.recipient.in_(recipients), mailbox_usage.c.messages <= 0))


_TAKE_AWAY: Final = (
    update(mailbox_usage)
    .where(
        mailbox_usage.c.recipient == bindparam("of_recipient"),
        mailbox_usage.c.scope == bindparam("of_scope"),
        mailbox_usage.c.key == bindparam("of_key"),
    )
    .values(
        messages=mailbox_usage.c.messages - bindparam("less_messages"),
        bytes=mailbox_usage.c.bytes - bindparam("less_bytes"),
    )
)


def _adding(dialect: str) -> Insert:
    put = insert_for(dialect, mailbox_usage)
    added = put.on_conflict_do_update(
        index_elements=[mailbox_usage.c.recipient, mailbox_usage.c.scope, mailbox_usage.c.key],
        set_={
            "messages": mailbox_usage.c.messages + put.excluded.messages,
            "bytes": mailbox_usage.c.bytes + put.excluded.bytes,
        },
    )
    return added.returning(*mailbox_usage.c)


_ADD: Final = Statement([column.name for column in mailbox_usage.c], _adding)


def _by_key(envelopes: Iterable[Any]) -> dict[Key, Usage]:
    alike: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for each in envelopes:
        alike[each.recipient, each.recipient_name, each.holder].append(each.size)
    found: dict[Key, Usage] = {}
    for (recipient, name, holder), sizes in alike.items():
        usage = Usage(len(sizes), sum(sizes))
        for key in (whole(recipient), of_name(recipient, name), of_holder(recipient, holder)):
            found[key] = found[key] + usage if key in found else usage
    return found


def _in_order(changes: Mapping[Key, Usage]) -> list[tuple[Key, Usage]]:
    """One order for everybody: two nodes that write the same rows must not wait for each other in a circle."""
    return sorted(changes.items(), key=lambda change: change[0])
