"""Many names at a time: what is known of them, and writing them with few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from gateway.errors import NameTaken
from gateway.ids import EnsName
from gateway.store.names import NameRow, columns_of, name_of, path_of
from gateway.store.op import Op
from gateway.store.reservations import Reservation, reservation_of
from gateway.store.schema import names, reservations
from gateway.store.upsert import insert

MOST: Final = 1_000
"""Names of one operation or query; SQLite takes so many values in one statement."""


class Outcome(StrEnum):
    """What became of one row."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    """It was there with all of this."""
    TAKEN = "taken"
    RESTING = "resting"
    """Released a short time ago by somebody else."""


WRITTEN: Final = frozenset({Outcome.NEW, Outcome.CHANGED})

Then = Callable[[tuple[NameRow, ...]], Sequence[Op[Any]]]


def _nothing(_: tuple[NameRow, ...]) -> Sequence[Op[Any]]:
    return ()


@dataclass(frozen=True, slots=True)
class Among:
    """What is known of some names: rows by name, also released ones, and how they are kept back."""

    rows: Mapping[EnsName, NameRow]
    reservations: Mapping[EnsName, Reservation]
    alike: Mapping[str, EnsName]
    """A name in use by what it looks like."""


@dataclass(frozen=True, slots=True)
class NamesAmong:
    """What is known of at most ``MOST`` names and of what they look like."""

    names: tuple[EnsName, ...]
    skeletons: tuple[str, ...] = ()

    def run(self, conn: Connection) -> Among:
        """Three look-ups by index."""
        kept = conn.execute(select(reservations).where(reservations.c.name.in_(self.names)))
        alike = select(names.c.skeleton, names.c.name).where(
            names.c.skeleton.in_(self.skeletons), names.c.released_at.is_(None), names.c.name.not_in(self.names)
        )
        return Among(
            _rows_of(conn, self.names),
            {EnsName(row.name): reservation_of(row) for row in kept},
            {row.skeleton: EnsName(row.name) for row in conn.execute(alike)},
        )


@dataclass(frozen=True, slots=True)
class WholeZone:
    """Names below ``suffix``, released ones too, sorted by their labels from the right, after ``after``."""

    suffix: EnsName
    limit: int
    after: EnsName | None = None

    def run(self, conn: Connection) -> list[NameRow]:
        """Read one range of the turned-round names."""
        parent = path_of(self.suffix)
        start = f"{parent}." if self.after is None else path_of(self.after)
        # "/" is the character after "."; no name holds one.
        within = select(names).where(names.c.path > start, names.c.path < f"{parent}/").order_by(names.c.path)
        return [name_of(row) for row in conn.execute(within.limit(self.limit))]


@dataclass(frozen=True, slots=True)
class PutNames:
    """Write at most ``MOST`` names that differ from one another; an outcome for each, in their order.

    A name in use is replaced when ``overwrite`` says so, keeping ``created_at`` and ``origin``; a released one is free
    as for ``TakeName``. With ``strict`` the first that is not free raises NameTaken and nothing is written. What
    ``then`` gives for the rows that were written, with their new ``sequence``, is applied in the same transaction.

    ``verbatim`` is for copies of another gateway's rows: written as they are, released ones too, except that a
    ``sequence`` never falls.
    """

    rows: tuple[NameRow, ...]
    rested_since: int
    overwrite: bool = False
    strict: bool = False
    verbatim: bool = False
    then: Then = field(default=_nothing, compare=False)

    def wakes(self, result: Sequence[Outcome]) -> bool:
        """What is written may be news for somebody."""
        return any(outcome in WRITTEN for outcome in result)

    def apply(self, conn: Connection) -> list[Outcome]:
        """Look and lock, sort, then insert and update."""
        known = _rows_of(conn, [row.name for row in self.rows], lock=True)
        judged = [self._judge(row, known.get(row.name)) for row in self.rows]
        fresh = {row.name for row, _ in judged if row.name not in known}
        inserted = _insert(conn, [row for row, _ in judged if row.name in fresh])
        # Another node was quicker with some.
        outcomes = [
            Outcome.TAKEN if row.name in fresh and row.name not in inserted else outcome for row, outcome in judged
        ]
        if self.strict:
            for (row, _), outcome in zip(judged, outcomes, strict=True):
                if outcome in (Outcome.TAKEN, Outcome.RESTING):
                    raise NameTaken(f"{row.name} is {outcome}")
        written = tuple(row for (row, _), outcome in zip(judged, outcomes, strict=True) if outcome in WRITTEN)
        _update(conn, [row for row in written if row.name not in fresh])
        for op in self.then(written) if written else ():
            op.apply(conn)
        return outcomes

    def foreseen(self, known: Mapping[EnsName, NameRow]) -> list[Outcome]:
        """What would become of each row if these names were all that there are."""
        return [self._judge(row, known.get(row.name))[1] for row in self.rows]

    def _judge(self, row: NameRow, old: NameRow | None) -> tuple[NameRow, Outcome]:
        if old is None:
            return row, Outcome.NEW
        if self.verbatim:
            copy = replace(row, sequence=max(row.sequence, old.sequence))
            changed = Outcome.CHANGED if self.overwrite else Outcome.TAKEN
            same = copy.sequence == old.sequence and outcome_over(copy, old) is Outcome.SAME
            return copy, Outcome.SAME if same else changed
        if old.released_at is not None:
            if old.released_at > self.rested_since and old.owner != row.owner:
                return row, Outcome.RESTING
            return replace(row, sequence=old.sequence + 1), Outcome.NEW
        outcome = outcome_over(row, old)
        if outcome is Outcome.SAME or not self.overwrite:
            return row, outcome if outcome is Outcome.SAME else Outcome.TAKEN
        return replace(row, created_at=old.created_at, origin=old.origin, sequence=old.sequence + 1), outcome


def outcome_over(row: NameRow, old: NameRow) -> Outcome:
    """Whether ``row`` says anything else than ``old``, a name in use: CHANGED or SAME."""
    said = replace(
        row,
        created_at=old.created_at,
        updated_at=old.updated_at,
        origin=old.origin,
        sequence=old.sequence,
        reminded=old.reminded,
        skeleton=old.skeleton,
    )
    return Outcome.SAME if said == old else Outcome.CHANGED


def _rows_of(conn: Connection, wanted: Sequence[EnsName], *, lock: bool = False) -> dict[EnsName, NameRow]:
    # In one order, so that two nodes do not wait for each other in a circle.
    found = select(names).where(names.c.name.in_(wanted)).order_by(names.c.name)
    rows = (name_of(row) for row in conn.execute(found.with_for_update() if lock else found))
    return {row.name: row for row in rows}


def _insert(conn: Connection, rows: Sequence[NameRow]) -> set[str]:
    if not rows:
        return set()
    put = insert(conn, names).on_conflict_do_nothing().returning(names.c.name)
    ordered = sorted(map(columns_of, rows), key=lambda values: str(values["name"]))
    return set(conn.execute(put, ordered).scalars())


def _update(conn: Connection, rows: Iterable[NameRow]) -> None:
    changed = [{f"_{column}": value for column, value in columns_of(row).items()} for row in rows]
    if changed:
        values: dict[str, Any] = {column: bindparam(f"_{column}") for column in (each[1:] for each in changed[0])}
        conn.execute(update(names).where(names.c.name == bindparam("_name")).values(values), changed)
