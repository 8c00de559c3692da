"""Status of messages that left a network: what became of each, per recipient."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, tuple_

from gateway.ids import NativeId, Network
from gateway.store.schema import statuses
from gateway.store.upsert import insert


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

    def apply(self, conn: Connection) -> bool:
        """Insert, or replace what is not newer."""
        put = insert(conn, statuses).values(
            network=self.network,
            native_id=self.native_id,
            recipient=self.recipient,
            state=self.state,
            reason=self.reason,
            at=self.at,
        )
        stored = put.on_conflict_do_update(
            index_elements=[statuses.c.network, statuses.c.native_id, statuses.c.recipient],
            set_={"state": put.excluded.state, "reason": put.excluded.reason, "at": put.excluded.at},
            where=statuses.c.at <= put.excluded.at,
        ).returning(statuses.c.at)
        return conn.execute(stored).first() is not None


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
class ForgetStatuses:
    """Remove at most ``limit`` statuses set before ``before`` (ms); returns how many."""

    before: int
    limit: int = 10_000

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        key = statuses.c.network, statuses.c.native_id, statuses.c.recipient
        old = select(*key).where(statuses.c.at < self.before).order_by(statuses.c.at).limit(self.limit)
        return conn.execute(delete(statuses).where(tuple_(*key).in_(old))).rowcount
