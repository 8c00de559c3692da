"""The log of what was done to names: entries are only ever added, and each vouches for all before it.

The digest of an entry is SHA-256 over the digest before it and its own fields, each with its length, so whoever changes
or removes an entry has to change all that follow; whoever has kept a later digest sees even that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from gateway.ids import EnsName
from gateway.store.schema import audit

BEGINNING: Final = bytes(32)
"""Stands for the digest before the first entry."""
_LOCK: Final = 0x444D33
"""Advisory lock of PostgreSQL: two nodes must not continue the same entry."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which name; ``actor`` is an address, ``key:<id>``, ``operator`` or ``gateway``.

    ``detail`` is canonical JSON. Nothing in an entry may be a secret.
    """

    at: int
    actor: str
    action: str
    subject: str
    detail: str = "{}"


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry with its number and digest."""

    seq: int
    entry: AuditEntry
    digest: bytes


@dataclass(frozen=True, slots=True)
class Audit:
    """Add an entry; to be committed together with what it tells of."""

    entry: AuditEntry

    def apply(self, conn: Connection) -> None:
        """Insert one row."""
        AuditAll((self.entry,)).apply(conn)


@dataclass(frozen=True, slots=True)
class AuditAll:
    """Add entries in their order."""

    entries: tuple[AuditEntry, ...]

    def apply(self, conn: Connection) -> None:
        """Continue the chain."""
        if not self.entries:
            return
        lock_log(conn)
        last = conn.scalar(select(audit.c.digest).where(audit.c.seq == select(func.max(audit.c.seq)).scalar_subquery()))
        digest = BEGINNING if last is None else last
        rows: list[dict[str, Any]] = []
        for entry in self.entries:
            digest = digest_of(digest, entry)
            rows.append({**asdict(entry), "digest": digest})
        conn.execute(audit.insert(), rows)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries after number ``after``, oldest first, of one ``subject`` when given; at most ``limit``."""

    after: int
    limit: int
    subject: EnsName | None = None

    def run(self, conn: Connection) -> list[LoggedEntry]:
        """Read one page."""
        page = select(audit).where(audit.c.seq > self.after).order_by(audit.c.seq).limit(self.limit)
        if self.subject is not None:
            page = page.where(audit.c.subject == self.subject)
        return [logged(row) for row in conn.execute(page)]


@dataclass(frozen=True, slots=True)
class LatestEntries:
    """The newest entries about ``subject``, newest first, of some ``actions`` when given; at most ``limit``."""

    subject: EnsName
    limit: int
    actions: tuple[str, ...] | None = None

    def run(self, conn: Connection) -> list[LoggedEntry]:
        """Read by the index of subjects."""
        page = select(audit).where(audit.c.subject == self.subject).order_by(audit.c.seq.desc()).limit(self.limit)
        if self.actions is not None:
            page = page.where(audit.c.action.in_(self.actions))
        return [logged(row) for row in conn.execute(page)]


def lock_log(conn: Connection) -> None:
    """Nobody else adds entries until the commit: SQLite has one writer anyway, on PostgreSQL the others wait."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def digest_of(before: bytes, entry: AuditEntry) -> bytes:
    """32 bytes that vouch for ``entry`` and, by ``before``, for everything that was logged earlier."""
    digest = hashlib.sha256(before)
    for part in (str(entry.at), entry.actor, entry.action, entry.subject, entry.detail):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def first_break(before: bytes, entries: Iterable[LoggedEntry]) -> LoggedEntry | None:
    """The first entry that does not follow from the one before it, or None when all do."""
    for logged in entries:
        if digest_of(before, logged.entry) != logged.digest:
            return logged
        before = logged.digest
    return None


def logged(row: Any) -> LoggedEntry:
    """An entry from a row of the table."""
    entry = AuditEntry(row.at, row.actor, row.action, row.subject, row.detail)
    return LoggedEntry(row.seq, entry, row.digest)
