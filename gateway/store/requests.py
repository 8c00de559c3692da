"""Message requests: mail of strangers, kept apart until the recipient lets them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select

from gateway.ids import EnsName, EthAddress
from gateway.store.mailbox import PAGE_BYTES, Folder, StoredEnvelope, addressed_to, remove, undamaged
from gateway.store.schema import envelopes


@dataclass(frozen=True, slots=True)
class AdmitSender:
    """Move what waits from one sender among the message requests to the end of the inbox, oldest first.

    At most ``limit`` envelopes and 8 MiB of bodies at a time; returns what was moved, and nothing at the end. An
    envelope gets a new number on its way: a cursor of the inbox may have passed the old one already.
    """

    recipient: EthAddress
    sender: EnsName
    names: tuple[EnsName, ...]
    limit: int

    def mailboxes(self) -> tuple[EthAddress, ...]:
        """The recipient's."""
        return (self.recipient,)

    def apply(self, conn: Connection) -> list[StoredEnvelope]:
        """Delete and insert: what is charged to whom stays as it is."""
        waiting = _requests(self.recipient, self.sender, self.names)
        some = select(envelopes.c.seq, envelopes.c.size).where(*waiting).order_by(envelopes.c.seq).limit(self.limit)
        chosen: list[int] = []
        room = PAGE_BYTES
        for seq, size in conn.execute(some):
            room -= size
            if chosen and room < 0:
                break
            chosen.append(seq)
        taken = conn.execute(delete(envelopes).where(envelopes.c.seq.in_(chosen)).returning(*envelopes.c)).all()
        if not taken:
            return []
        conn.execute(
            envelopes.insert(),
            [_unnumbered(row) for row in sorted(taken, key=lambda row: row.seq)],
        )
        moved = select(envelopes).where(envelopes.c.id.in_([row.id for row in taken])).order_by(envelopes.c.seq)
        return list(undamaged(conn.execute(moved)))


@dataclass(frozen=True, slots=True)
class RefuseSender:
    """Delete what waits from one sender among the message requests; returns how many envelopes went."""

    recipient: EthAddress
    sender: EnsName
    names: tuple[EnsName, ...]

    def mailboxes(self) -> tuple[EthAddress, ...]:
        """The recipient's."""
        return (self.recipient,)

    def apply(self, conn: Connection) -> int:
        """Delete by the mailbox index."""
        return remove(conn, *_requests(self.recipient, self.sender, self.names))


@dataclass(frozen=True, slots=True)
class WaitingSender:
    """A sender among the message requests; ``since`` is when the oldest envelope came (ms)."""

    sender: EnsName
    verified: bool
    messages: int
    since: int


@dataclass(frozen=True, slots=True)
class RequestsBySender:
    """Senders among the message requests of a recipient, those who wrote last first; at most ``limit``."""

    recipient: EthAddress
    names: tuple[EnsName, ...]
    limit: int

    def run(self, conn: Connection) -> list[WaitingSender]:
        """Group by sender."""
        rows = conn.execute(
            select(
                envelopes.c.sender,
                envelopes.c.verified,
                func.count().label("messages"),
                func.min(envelopes.c.received_at).label("since"),
            )
            .where(
                envelopes.c.recipient == self.recipient,
                envelopes.c.folder == Folder.REQUESTS.value,
                *addressed_to(self.names),
            )
            .group_by(envelopes.c.sender, envelopes.c.verified)
            .order_by(func.max(envelopes.c.seq).desc())
            .limit(self.limit)
        )
        return [WaitingSender(**row._mapping) for row in rows]


def _requests(recipient: EthAddress, sender: EnsName, names: tuple[EnsName, ...]) -> list[ColumnElement[bool]]:
    return [
        envelopes.c.recipient == recipient,
        envelopes.c.folder == Folder.REQUESTS.value,
        envelopes.c.sender == sender,
        *addressed_to(names),
    ]


def _unnumbered(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name != "seq"} | {"folder": Folder.INBOX.value}
