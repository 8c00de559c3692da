"""What is done to a restored database before a node may open it, and what the one before it still knows.

What came after the snapshot is not in it: sessions that were ended, orders that were used, messages that were
delivered, people who were deleted. So whatever could be used a second time is ended, numbers that were given are not
given again, and what a replaced database of the same line of history says about it is taken over.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, literal_column, select, text, update

from gateway.store import accounts as account_store
from gateway.store.mailbox import remove
from gateway.store.schema import (
    accounts,
    admins,
    api_keys,
    challenges,
    channels,
    envelopes,
    jobs,
    lanes,
    leases,
    lineage,
    link_codes,
    names,
    once,
    seen,
    tokens,
    wallet_sessions,
)
from gateway.store.tombstones import AllBuried, Bury
from gateway.store.upsert import insert

AHEAD: Final = 1_000_000
"""So far numbers go on after a restore: of orders for a name, and of fences."""
FAR_AHEAD: Final = 1_000_000_000
"""The same for envelopes and jobs; a cursor that a client had before must not lie in front of new mail."""
ENDED: Final = (challenges, tokens, wallet_sessions, link_codes, leases)
AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A line of history: its number in the installation, and a random id."""

    epoch: int
    id: str


@dataclass(frozen=True, slots=True)
class CurrentLine:
    """The line that a database is on; None before its first backup."""

    def run(self, conn: Connection) -> Line | None:
        """Read the newest row."""
        row = conn.execute(select(lineage).order_by(lineage.c.epoch.desc()).limit(1)).first()
        return None if row is None else Line(row.epoch, row.id)


@dataclass(frozen=True, slots=True)
class EnsureLine:
    """Begin the first line unless there is one; the present one."""

    now: int

    def apply(self, conn: Connection) -> Line:
        """Insert once."""
        first = insert(conn, lineage).values(epoch=1, id=secrets.token_hex(16), at=self.now)
        if CurrentLine().run(conn) is None:
            conn.execute(first.on_conflict_do_nothing())
        found = CurrentLine().run(conn)
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a database that is about to be replaced knows and a snapshot of it cannot."""

    line: Line | None
    buried: tuple[str, ...]
    newest_job: int
    jobs: frozenset[int] = field(repr=False)
    """Numbers of those that are not done."""
    envelopes: frozenset[str] = field(repr=False)
    """Ids of those that wait."""
    seen: tuple[tuple[str, int], ...] = field(repr=False)
    once: tuple[tuple[str, str, int], ...] = field(repr=False)
    revoked: tuple[tuple[str, int], ...] = ()
    """API keys that were ended, and when."""
    admins: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Learn:
    """Read all of it."""

    def run(self, conn: Connection) -> Knowledge:
        """Some columns of some tables."""
        ended = select(api_keys.c.id, api_keys.c.revoked_at).where(api_keys.c.revoked_at.is_not(None))
        return Knowledge(
            line=CurrentLine().run(conn),
            buried=AllBuried().run(conn),
            newest_job=_given(conn, jobs),
            jobs=frozenset(conn.scalars(select(jobs.c.id))),
            envelopes=frozenset(conn.scalars(select(envelopes.c.id))),
            seen=tuple((row.id, row.until) for row in conn.execute(select(seen))),
            once=tuple((row.scope, row.key, row.expires_at) for row in conn.execute(select(once))),
            revoked=tuple((row.id, row.revoked_at) for row in conn.execute(ended)),
            admins=frozenset((row.parent, row.address) for row in conn.execute(select(admins))),
        )


@dataclass(frozen=True, slots=True)
class Renewed:
    """What was done."""

    epoch: int
    sessions: int
    """Log-ins, challenges, codes and leases that were ended."""
    delivered: int
    """Envelopes and jobs of the snapshot that were done with since."""
    closed: int
    """Accounts that their owners had closed since."""
    revoked: int
    """API keys and admins that had lost their rights since."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Make a restored database fit to be opened; ``known`` is of the one before it, when that is on the same line.

    ``buried`` are digests of who was deleted, from wherever they were kept. Who is among them and bridged is left to
    the caller, who has the keys to recognise them.
    """

    now: int
    buried: tuple[str, ...] = ()
    known: Knowledge | None = None

    def apply(self, conn: Connection) -> Renewed:
        """All in one transaction."""
        before = EnsureLine(self.now).apply(conn)
        sessions = sum(conn.execute(delete(table)).rowcount for table in ENDED)
        conn.execute(update(channels).values(code_digest=None))
        conn.execute(update(lanes).values(owner=None, lease_until=0, token=lanes.c.token + AHEAD))
        conn.execute(update(names).values(sequence=names.c.sequence + AHEAD))
        conn.execute(lineage.insert().values(epoch=before.epoch + 1, id=secrets.token_hex(16), at=self.now))
        delivered = revoked = 0
        if follows(self.known, before, _given(conn, jobs)) and self.known is not None:
            delivered = _end_what_was_done(conn, self.known)
            revoked = _end_rights(conn, self.known)
        known = () if self.known is None else self.known.buried
        Bury((*self.buried, *known), self.now).apply(conn)
        for table in (envelopes, jobs):
            _skip_numbers(conn, table)
        return Renewed(before.epoch + 1, sessions, delivered, _close_accounts(conn), revoked)


def follows(known: Knowledge | None, line: Line | None, newest_job: int) -> bool:
    """Whether a database is a later state of a snapshot: on its line, and not behind it."""
    return known is not None and line is not None and known.line == line and known.newest_job >= newest_job


def _end_what_was_done(conn: Connection, known: Knowledge) -> int:
    done = [number for number in conn.scalars(select(jobs.c.id)) if number not in known.jobs]
    gone = [id_ for id_ in conn.scalars(select(envelopes.c.id)) if id_ not in known.envelopes]
    for start in range(0, len(done), AT_ONCE):
        conn.execute(delete(jobs).where(jobs.c.id.in_(done[start : start + AT_ONCE])))
    removed = sum(
        remove(conn, envelopes.c.id.in_(gone[start : start + AT_ONCE])) for start in range(0, len(gone), AT_ONCE)
    )
    ready = select(literal_column("1")).where(jobs.c.lane == lanes.c.name, jobs.c.state == "ready").exists()
    conn.execute(update(lanes).where(~ready).values(due=None))
    # What came later and still waited is lost with the replaced database: its sender may bring it again.
    taken = tuple(row for row in known.seen if row[0] not in known.envelopes)
    for row_of, table in ((taken, seen), (known.once, once)):
        columns = [column.name for column in table.c]
        rows = [dict(zip(columns, row, strict=True)) for row in row_of]
        if rows:
            conn.execute(insert(conn, table).on_conflict_do_nothing(), rows)
    return len(done) + removed


def _end_rights(conn: Connection, known: Knowledge) -> int:
    ended = 0
    for id_, at in known.revoked:
        theirs = update(api_keys).where(api_keys.c.id == id_, api_keys.c.revoked_at.is_(None))
        ended += conn.execute(theirs.values(revoked_at=at)).rowcount
    for row in conn.execute(select(admins)).all():
        if (row.parent, row.address) not in known.admins:
            there = (admins.c.parent == row.parent, admins.c.address == row.address)
            ended += conn.execute(delete(admins).where(*there)).rowcount
    return ended


def _close_accounts(conn: Connection) -> int:
    closed = 0
    for address in conn.scalars(select(accounts.c.address)).all():
        if account_store.is_closed(conn, address):
            closed += account_store.CloseAccount(address).apply(conn)
            remove(conn, envelopes.c.recipient == address)
    return closed


def _given(conn: Connection, table: Table) -> int:
    """The highest number that was ever given to a row of a table."""
    (number,) = table.primary_key
    if conn.dialect.name == "sqlite":
        return conn.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table.name}) or 0
    return max(
        conn.scalar(text(f"SELECT last_value FROM {table.name}_{number.name}_seq")) or 0,  # noqa: S608 - names of ours
        conn.scalar(select(func.max(number))) or 0,
    )


def _skip_numbers(conn: Connection, table: Table) -> None:
    (number,) = table.primary_key
    after: dict[str, Any] = {"table": table.name, "number": _given(conn, table) + FAR_AHEAD}
    if conn.dialect.name != "sqlite":
        conn.execute(text(f"SELECT setval('{table.name}_{number.name}_seq', :number)"), {"number": after["number"]})
        return
    if not conn.execute(text("UPDATE sqlite_sequence SET seq = :number WHERE name = :table"), after).rowcount:
        conn.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :number)"), after)
