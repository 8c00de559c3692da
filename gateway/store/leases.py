"""Leases for what only one node may do (a component connection, a sync loop, expiry), with fencing tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, or_, select, update

from gateway.errors import LeaseLost
from gateway.ids import EnvelopeId, EthAddress, LaneKey
from gateway.store.op import Op, lanes_of, mailboxes_of, wakes
from gateway.store.schema import leases
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class Fence:
    """The right of ``owner`` to be the one ``name`` until ``until`` (ms); ``token`` rises with each change."""

    name: str
    owner: str
    token: int
    until: int


@dataclass(frozen=True, slots=True)
class AcquireLease:
    """Take a lease that is free or whose time is over; None when somebody else holds it.

    The owner itself gets it again at once, with a new token, as after a quick restart.
    """

    name: str
    owner: str
    now: int
    ttl_ms: int

    def apply(self, conn: Connection) -> Fence | None:
        """Insert or take over in one statement, so that two nodes cannot both succeed."""
        until = self.now + self.ttl_ms
        take = insert(conn, leases).values(name=self.name, owner=self.owner, token=1, until=until)
        token = conn.execute(
            take.on_conflict_do_update(
                index_elements=[leases.c.name],
                set_={"owner": take.excluded.owner, "until": take.excluded.until, "token": leases.c.token + 1},
                where=or_(leases.c.until <= self.now, leases.c.owner == self.owner),
            ).returning(leases.c.token)
        ).scalar()
        return None if token is None else Fence(self.name, self.owner, token, until)


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Hold the lease until ``now + ttl_ms``; raises ``LeaseLost``."""

    fence: Fence
    now: int
    ttl_ms: int

    def apply(self, conn: Connection) -> Fence:
        """Move the end of a lease that is still ours."""
        _check(conn, self.fence, self.now)
        renewed = replace(self.fence, until=self.now + self.ttl_ms)
        conn.execute(update(leases).where(leases.c.name == self.fence.name).values(until=renewed.until))
        return renewed


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Give the lease back; False when it was no longer ours. The row stays, so that the token goes on rising."""

    fence: Fence

    def apply(self, conn: Connection) -> bool:
        """End it now."""
        return (
            conn.execute(
                update(leases)
                .where(
                    leases.c.name == self.fence.name,
                    leases.c.owner == self.fence.owner,
                    leases.c.token == self.fence.token,
                )
                .values(until=0)
            ).rowcount
            > 0
        )


@dataclass(frozen=True, slots=True)
class UnderLease:
    """Apply ``ops`` only while the lease is ours at ``now``; raises ``LeaseLost`` otherwise. Returns their results."""

    fence: Fence
    now: int
    ops: tuple[Op[Any], ...]

    def lanes(self) -> tuple[LaneKey, ...]:
        """Lanes of all operations inside."""
        return tuple(lane for op in self.ops for lane in lanes_of(op))

    def mailboxes(self) -> tuple[EthAddress | EnvelopeId, ...]:
        """Mailboxes of all operations inside."""
        return tuple(mailbox for op in self.ops for mailbox in mailboxes_of(op))

    def wakes(self, result: tuple[Any, ...]) -> bool:
        """Whether any operation inside made work."""
        return any(map(wakes, self.ops, result))

    def apply(self, conn: Connection) -> tuple[Any, ...]:
        """Lock the lease, then apply: nobody can take it over before this is committed."""
        _check(conn, self.fence, self.now)
        return tuple(op.apply(conn) for op in self.ops)


def _check(conn: Connection, fence: Fence, now: int) -> None:
    held = (
        select(leases.c.name)
        .where(
            leases.c.name == fence.name,
            leases.c.owner == fence.owner,
            leases.c.token == fence.token,
            leases.c.until > now,
        )
        .with_for_update()
    )
    if conn.execute(held).first() is None:
        raise LeaseLost(f"lease {fence.name!r} is no longer held by {fence.owner!r}")
