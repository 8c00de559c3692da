"""Status of messages that left a network: what became of each, per recipient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, Insert, delete, select, tuple_

from gateway.ids import EnsName, NativeId, Network
from gateway.store.schema import statuses
from gateway.store.statement import Statement
from gateway.store.upsert import insert_for


@dataclass(frozen=True, slots=True)
class Status:
    """The newest state of a message, why, and since when (ms)."""

    state: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Set the state of a native message for one recipient; False when a newer state (by ``at``) is stored."""

    network: Network
    native_id: NativeId
    recipient: str
    state: str
    reason: str
    at: int
    sender: str = ""
    """Sub-name of who wrote the message."""

    def apply(self, conn: Connection) -> bool:
        """Insert, or replace what is not newer."""
        row = {name: getattr(self, name) for name in _COLUMNS}
        return bool((_SET_SENT if self.sender else _SET).run(conn, [row]))


@dataclass(frozen=True, slots=True)
class StatusOf:
    """Status of a native message for one recipient, or None."""

    network: Network
    native_id: NativeId
    recipient: str

    def run(self, conn: Connection) -> Status | None:
        """Look up by the key."""
        row = conn.execute(
            select(statuses.c.state, statuses.c.reason, statuses.c.at).where(
                statuses.c.network == self.network,
                statuses.c.native_id == self.native_id,
                statuses.c.recipient == self.recipient,
            )
        ).first()
        return None if row is None else Status(row.state, row.reason, row.at)


@dataclass(frozen=True, slots=True)
class StatusesOfMessage:
    """Status of a native message for each of its recipients, the oldest first; at most ``limit``."""

    network: Network
    native_id: NativeId
    limit: int

    def run(self, conn: Connection) -> list[Status]:
        """Read a range of the key."""
        theirs = (statuses.c.network == self.network, statuses.c.native_id == self.native_id)
        columns = (statuses.c.state, statuses.c.reason, statuses.c.at)
        rows = conn.execute(select(*columns).where(*theirs).order_by(statuses.c.at).limit(self.limit))
        return [Status(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class SenderStatus:
    """A ``Status`` with the message that it is about and its recipient."""

    native_id: NativeId
    recipient: EnsName
    state: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class StatusesOfSender:
    """Statuses of messages of the person with the sub-name ``sender``, the newest first; at most ``limit``.

    To one recipient only when ``recipient`` is given.
    """

    network: Network
    sender: EnsName
    limit: int
    recipient: EnsName | None = None

    def run(self, conn: Connection) -> list[SenderStatus]:
        """Read the index backwards."""
        wanted = [statuses.c.network == self.network, statuses.c.sender == self.sender]
        if self.recipient is not None:
            wanted.append(statuses.c.recipient == self.recipient)
        columns = (
            statuses.c.native_id,
            statuses.c.recipient,
            statuses.c.state,
            statuses.c.reason,
            statuses.c.at,
        )
        rows = conn.execute(select(*columns).where(*wanted).order_by(statuses.c.at.desc()).limit(self.limit))
        return [SenderStatus(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class ForgetStatuses:
    """Remove at most ``limit`` statuses set before ``before`` (ms); returns how many."""

    before: int
    limit: int = 10_000

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        key = statuses.c.network, statuses.c.native_id, statuses.c.recipient
        old = select(*key).where(statuses.c.at < self.before).order_by(statuses.c.at).limit(self.limit)
        return conn.execute(delete(statuses).where(tuple_(*key).in_(old))).rowcount


_COLUMNS: Final = ("network", "native_id", "recipient", "state", "reason", "at", "sender")


def _setting(dialect: str, *, sender: bool) -> Insert:
    put = insert_for(dialect, statuses)
    changed = {"state": put.excluded.state, "reason": put.excluded.reason, "at": put.excluded.at}
    if sender:
        changed["sender"] = put.excluded.sender
    return put.on_conflict_do_update(
        index_elements=[statuses.c.network, statuses.c.native_id, statuses.c.recipient],
        set_=changed,
        where=statuses.c.at <= put.excluded.at,
    ).returning(statuses.c.at)


_SET: Final = Statement(_COLUMNS, partial(_setting, sender=False))
_SET_SENT: Final = Statement(_COLUMNS, partial(_setting, sender=True))
