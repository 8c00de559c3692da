"""Names that the operator keeps back, for somebody or from everybody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, select

from gateway.ids import EnsName, EthAddress
from gateway.store.schema import reservations
from gateway.store.upsert import insert


class Hold(StrEnum):
    """Why a name is not given out."""

    RESERVED = "reserved"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Reservation:
    """A name kept back; ``holder`` is the one address that may claim it all the same."""

    name: EnsName
    kind: Hold
    holder: EthAddress | None
    note: str
    created_at: int


@dataclass(frozen=True, slots=True)
class PutReservation:
    """Keep a name back, or change how; names that somebody has stay theirs."""

    reservation: Reservation

    def apply(self, conn: Connection) -> None:
        """Insert or replace."""
        kept = self.reservation
        values = {"kind": kept.kind, "holder": kept.holder, "note": kept.note, "created_at": kept.created_at}
        put = insert(conn, reservations).values(name=kept.name, **values)
        conn.execute(put.on_conflict_do_update(index_elements=[reservations.c.name], set_=values))


@dataclass(frozen=True, slots=True)
class DropReservation:
    """Give a name free; True when it was kept back."""

    name: EnsName

    def apply(self, conn: Connection) -> bool:
        """Delete one row."""
        return conn.execute(delete(reservations).where(reservations.c.name == self.name)).rowcount > 0


@dataclass(frozen=True, slots=True)
class ReservationOf:
    """How a name is kept back, or None."""

    name: EnsName

    def run(self, conn: Connection) -> Reservation | None:
        """Look up by the key."""
        row = conn.execute(select(reservations).where(reservations.c.name == self.name)).first()
        return None if row is None else reservation_of(row)


@dataclass(frozen=True, slots=True)
class ListReservations:
    """Names kept back, in order, after ``after``, those directly below ``parent`` when given; at most ``limit``."""

    limit: int
    after: EnsName | None = None
    parent: EnsName | None = None

    def run(self, conn: Connection) -> list[Reservation]:
        """Read one page."""
        name = reservations.c.name
        page = select(reservations).where(name > (self.after or "")).order_by(name)
        if self.parent is not None:
            suffix = f".{self.parent}"
            dots = func.length(name) - func.length(func.replace(name, ".", ""))
            page = page.where(name.endswith(suffix, autoescape=True), dots == suffix.count("."))
        return [reservation_of(row) for row in conn.execute(page.limit(self.limit))]


def reservation_of(row: Any) -> Reservation:
    """The value of a row of the table."""
    holder = None if row.holder is None else EthAddress(row.holder)
    return Reservation(EnsName(row.name), Hold(row.kind), holder, row.note, row.created_at)
