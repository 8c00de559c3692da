"""Answers to requests that may come again: the first one is claimed, done, and kept for its repeats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, tuple_, update

from gateway.store.schema import idempotency
from gateway.store.upsert import insert

UNDER_WAY: Final = 0
"""Status of a request that somebody is doing."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What is known of a request: the digest of what was asked, and the answer unless it is ``UNDER_WAY``."""

    request: bytes
    status: int
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Take it on to answer the request ``key`` of ``caller``; None when it is ours, else what is known of it.

    What was claimed at ``abandoned_since`` or before and has no answer is taken over: the node that did it is gone.
    What was claimed at ``forgotten_since`` or before counts no more.
    """

    caller: str
    key: str
    request: bytes
    now: int
    abandoned_since: int
    forgotten_since: int

    def apply(self, conn: Connection) -> KeptAnswer | None:
        """Insert; else lock what is there, and replace it when its time is over."""
        fresh = {"request": self.request, "status": UNDER_WAY, "body": "", "created_at": self.now}
        claimed = insert(conn, idempotency).values(caller=self.caller, key=self.key, **fresh)
        if conn.execute(claimed.on_conflict_do_nothing().returning(idempotency.c.key)).first() is not None:
            return None
        mine = and_(idempotency.c.caller == self.caller, idempotency.c.key == self.key)
        over = or_(
            idempotency.c.created_at <= self.forgotten_since,
            and_(idempotency.c.status == UNDER_WAY, idempotency.c.created_at <= self.abandoned_since),
        )
        if conn.execute(update(idempotency).where(mine, over).values(**fresh)).rowcount:
            return None
        known = conn.execute(select(idempotency).where(mine)).one()
        return KeptAnswer(known.request, known.status, known.body)


@dataclass(frozen=True, slots=True)
class KeepAnswer:
    """Write the answer to what was claimed at ``claimed_at``; False when somebody else took it over."""

    caller: str
    key: str
    claimed_at: int
    status: int
    body: str = field(repr=False)

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        mine = _claim(self.caller, self.key, self.claimed_at)
        return conn.execute(update(idempotency).where(mine).values(status=self.status, body=self.body)).rowcount > 0


@dataclass(frozen=True, slots=True)
class DropClaim:
    """Give up what was claimed at ``claimed_at``, so that a repeat is done anew; True when it was still claimed."""

    caller: str
    key: str
    claimed_at: int

    def apply(self, conn: Connection) -> bool:
        """Delete one row."""
        return conn.execute(delete(idempotency).where(_claim(self.caller, self.key, self.claimed_at))).rowcount > 0


@dataclass(frozen=True, slots=True)
class ForgetAnswers:
    """Remove at most ``limit`` requests that were claimed at ``before`` (ms) or earlier; returns how many."""

    before: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        key = (idempotency.c.caller, idempotency.c.key)
        old = select(*key).where(idempotency.c.created_at <= self.before).order_by(idempotency.c.created_at)
        return conn.execute(delete(idempotency).where(tuple_(*key).in_(old.limit(self.limit)))).rowcount


def _claim(caller: str, key: str, claimed_at: int) -> ColumnElement[bool]:
    return and_(
        idempotency.c.caller == caller,
        idempotency.c.key == key,
        idempotency.c.created_at == claimed_at,
        idempotency.c.status == UNDER_WAY,
    )
