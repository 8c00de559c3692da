"""Allowances: something may be done so many times in a time, counted over restarts and all nodes.

Each use takes one of the allowance's places until its time is over; the places are keys of the table ``once``, whose
uniqueness decides between two who want the last one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.errors import LimitExceeded
from gateway.ids import LaneKey
from gateway.store.op import Op, lanes_of, wakes
from gateway.store.schema import once
from gateway.store.upsert import insert

SCOPE_PREFIX: Final = "allowance:"


@dataclass(frozen=True, slots=True)
class Allowance:
    """``uses`` of ``scope`` within ``period_ms``; small numbers, because places are looked through."""

    scope: str
    uses: int
    period_ms: int


@dataclass(frozen=True, slots=True)
class WithAllowances:
    """Apply ``ops`` and take one use of each allowance, all or nothing.

    Gives the results of ``ops``; or the first allowance that is used up at ``now``, and then nothing is done. Raises
    ``LimitExceeded`` when somebody else took the last place in the same moment.
    """

    allowances: tuple[Allowance, ...]
    now: int
    ops: tuple[Op[Any], ...]

    def lanes(self) -> tuple[LaneKey, ...]:
        """Lanes of all operations inside."""
        return tuple(lane for op in self.ops for lane in lanes_of(op))

    def wakes(self, result: tuple[Any, ...] | Allowance) -> bool:
        """Whether any operation inside made work."""
        return not isinstance(result, Allowance) and any(map(wakes, self.ops, result))

    def apply(self, conn: Connection) -> tuple[Any, ...] | Allowance:
        """Look at all before the first is taken."""
        places: list[tuple[Allowance, list[str]]] = []
        for allowance in self.allowances:
            free = _free_places(conn, allowance, self.now)
            if not free:
                return allowance
            places.append((allowance, free))
        for allowance, free in places:
            _take_one(conn, allowance, free, self.now)
        return tuple(op.apply(conn) for op in self.ops)


def _free_places(conn: Connection, allowance: Allowance, now: int) -> list[str]:
    taken = set(
        conn.scalars(select(once.c.key).where(once.c.scope == SCOPE_PREFIX + allowance.scope, once.c.expires_at > now))
    )
    return [place for place in map(str, range(allowance.uses)) if place not in taken]


def _take_one(conn: Connection, allowance: Allowance, free: Iterable[str], now: int) -> None:
    for place in free:
        put = insert(conn, once).values(
            scope=SCOPE_PREFIX + allowance.scope, key=place, expires_at=now + allowance.period_ms
        )
        taken = conn.execute(
            put.on_conflict_do_update(
                index_elements=[once.c.scope, once.c.key],
                set_={"expires_at": put.excluded.expires_at},
                where=once.c.expires_at <= now,
            ).returning(once.c.key)
        ).first()
        if taken is not None:
            return
    raise LimitExceeded(f"all uses of {allowance.scope.partition(':')[0]} were taken meanwhile")
