"""Who has a name: taking one that is free, and changes of one that is held, each fenced by what was seen before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, func, select, update

from gateway.errors import NameChanged, NameRefused, NameTaken
from gateway.ids import EnsName, EthAddress
from gateway.store.audit import lock_log
from gateway.store.names import NameRow, columns_of, name_of, path_of
from gateway.store.schema import names
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class TakeName:
    """Write ``row`` for its owner when nobody has the name; returns it with its ``sequence``.

    A name that was released is free for another person when that was at ``rested_since`` (ms) or before, and for its
    last owner at once. Raises NameTaken.
    """

    row: NameRow
    rested_since: int

    def apply(self, conn: Connection) -> NameRow:
        """Insert; else replace what was released."""
        taken = insert(conn, names).values(columns_of(self.row)).on_conflict_do_nothing().returning(names.c.name)
        if conn.execute(taken).first() is not None:
            return self.row
        found = conn.execute(select(names).where(names.c.name == self.row.name).with_for_update()).first()
        if found is None:
            raise NameTaken(f"{self.row.name} has the node of another name")
        old = name_of(found)
        if old.released_at is None:
            raise NameTaken(f"{old.name} is taken")
        if old.released_at > self.rested_since and old.owner != self.row.owner:
            raise NameTaken(f"{old.name} was given up a short time ago and rests")
        new = replace(self.row, sequence=old.sequence + 1)
        conn.execute(update(names).where(names.c.name == new.name).values(columns_of(new)))
        return new


@dataclass(frozen=True, slots=True)
class TakenFor:
    """A name in use that ``name`` can be taken for, or None: of those with its ``skeleton``, one that is ``same``."""

    name: EnsName
    skeleton: str
    same: Callable[[EnsName], bool] = field(compare=False)

    def run(self, conn: Connection) -> EnsName | None:
        """Read by the index of skeletons."""
        alike = select(names.c.name).where(names.c.skeleton == self.skeleton, names.c.released_at.is_(None))
        found = conn.scalars(alike.where(names.c.name != self.name).order_by(names.c.path))
        return next(filter(self.same, map(EnsName, found)), None)


@dataclass(frozen=True, slots=True)
class RefuseAlike:
    """Refuse the transaction when somebody has a name that this one can be taken for; NameRefused.

    A name that was given out before may be given out again all the same. Comes before ``TakeName``; of two that look
    alike and are claimed at one time, the second is refused.
    """

    alike: TakenFor

    def apply(self, conn: Connection) -> None:
        """Let nobody else claim until the commit, then look."""
        # Each claim is logged. A lock of its own would be taken before that of the log by one and after it by another
        # of a batch, and they would wait for each other in a circle.
        lock_log(conn)
        name = self.alike.name
        if conn.scalar(select(names.c.name).where(names.c.name == name)) is not None:
            return
        if (other := self.alike.run(conn)) is not None:
            raise NameRefused(f"{name} can be taken for {other}, which somebody has")


@dataclass(frozen=True, slots=True)
class LimitOwner:
    """Refuse the transaction when ``owner`` has ``limit`` names in use under ``parent`` already; NameRefused."""

    owner: EthAddress
    parent: EnsName
    limit: int

    def apply(self, conn: Connection) -> None:
        """Count by the index of owners."""
        within = path_of(self.parent) + "."
        owned = select(func.count()).where(
            names.c.owner == self.owner, names.c.released_at.is_(None), names.c.path.startswith(within, autoescape=True)
        )
        if (conn.scalar(owned) or 0) >= self.limit:
            raise NameRefused(f"one address has at most {self.limit} names under {self.parent}")


@dataclass(frozen=True, slots=True)
class ReplaceName:
    """Write ``row`` over the same name as long as its ``sequence`` is the stored one; returns it with the next.

    Raises NameChanged when it was changed or released in the meantime.
    """

    row: NameRow

    def apply(self, conn: Connection) -> NameRow:
        """Compare and set."""
        new = replace(self.row, sequence=self.row.sequence + 1)
        same = (names.c.name == new.name, names.c.sequence == self.row.sequence, names.c.released_at.is_(None))
        if not conn.execute(update(names).where(*same).values(columns_of(new))).rowcount:
            raise NameChanged
        return new


@dataclass(frozen=True, slots=True)
class NoteReminder:
    """Write down that ``reminders`` of the end of the term were sent, ``before`` of which had been; else NameChanged.

    The owner's next order stays what it was.
    """

    name: EnsName
    before: int
    reminders: int

    def apply(self, conn: Connection) -> None:
        """Compare and set."""
        same = (names.c.name == self.name, names.c.reminded == self.before, names.c.released_at.is_(None))
        if not conn.execute(update(names).where(*same).values(reminded=self.reminders)).rowcount:
            raise NameChanged
