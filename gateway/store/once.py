"""Doing something once: operations under a unique key, for inbound events that a network may repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, delete, select, tuple_

from gateway.ids import EnvelopeId, EthAddress, LaneKey
from gateway.store.op import Op, apply_in_order, lanes_of, mailboxes_of, wakes
from gateway.store.schema import once
from gateway.store.statement import Statement
from gateway.store.upsert import insert_for

CLAIM: Final = Statement(
    ("scope", "key", "expires_at"),
    lambda dialect: insert_for(dialect, once).on_conflict_do_nothing().returning(once.c.key, once.c.scope),
)
"""Keys that nobody had used, and nobody can use from now on."""


@dataclass(frozen=True, slots=True)
class Once:
    """Apply ``ops`` unless (``scope``, ``key``) was used before; None then, and nothing done.

    Key and operations are committed together. A key counts until ``ExpireOnce`` removes it, also when ``expires_at``
    has passed.
    """

    scope: str
    key: str
    expires_at: int
    ops: tuple[Op[Any], ...]

    def lanes(self) -> tuple[LaneKey, ...]:
        """Lanes of all operations inside."""
        return tuple(lane for op in self.ops for lane in lanes_of(op))

    def mailboxes(self) -> tuple[EthAddress | EnvelopeId, ...]:
        """Mailboxes of all operations inside."""
        return tuple(mailbox for op in self.ops for mailbox in mailboxes_of(op))

    def wakes(self, result: tuple[Any, ...] | None) -> bool:
        """Whether any operation inside made work."""
        return result is not None and any(map(wakes, self.ops, result))

    def apply(self, conn: Connection) -> tuple[Any, ...] | None:
        """Insert the key, then apply the operations in their order."""
        return self.apply_many(conn, [self])[0]

    @staticmethod
    def apply_many(conn: Connection, ops: Sequence[Once]) -> list[tuple[Any, ...] | None]:
        """Insert all keys, then apply the operations of those that were free, neighbours of one kind together."""
        first: dict[tuple[str, str], int] = {}
        for place, once_op in enumerate(ops):
            first.setdefault((once_op.scope, once_op.key), place)
        # In one order, so that writers of two nodes do not wait for each other in a circle.
        claims = [{"scope": key[0], "key": key[1], "expires_at": ops[first[key]].expires_at} for key in sorted(first)]
        free = {first[scope, key] for key, scope in CLAIM.run(conn, claims)}
        # A refusal takes all back, with the keys: whoever made the batch applies the others without that one.
        done = iter(apply_in_order(conn, [op for place in sorted(free) for op in ops[place].ops]))
        return [tuple(islice(done, len(op.ops))) if place in free else None for place, op in enumerate(ops)]


@dataclass(frozen=True, slots=True)
class OnceUsed:
    """Whether (``scope``, ``key``) was used and is remembered."""

    scope: str
    key: str

    def run(self, conn: Connection) -> bool:
        """Look up by the key."""
        used = select(once.c.key).where(once.c.scope == self.scope, once.c.key == self.key)
        return conn.execute(used).first() is not None


@dataclass(frozen=True, slots=True)
class ExpireOnce:
    """Forget at most ``limit`` keys whose time is over at ``now``; returns how many."""

    now: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        expired = (
            select(once.c.scope, once.c.key)
            .where(once.c.expires_at <= self.now)
            .order_by(once.c.expires_at)
            .limit(self.limit)
        )
        return conn.execute(delete(once).where(tuple_(once.c.scope, once.c.key).in_(expired))).rowcount
