"""A whole zone out of the store and into another one, page by page."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO, Final

from gateway.dm3.canonical import stringify
from gateway.ens.names import is_under
from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.admins import AddAdmin, Admin, AdminsOf
from gateway.store.audit import Audit, AuditAll, AuditEntry
from gateway.store.bulk import Outcome, PutNames, WholeZone
from gateway.store.identities import Identity, IdentityNamed, ListIdentities
from gateway.store.names import NameRow
from gateway.store.op import Op
from gateway.store.reservations import ListReservations, PutReservation, Reservation
from gateway.subnames.history import IMPORTED
from gateway.subnames.zone_file import Entry, Person, ZoneHeader, ZoneReader, ZoneSummary, ZoneWriter

PAGE: Final = 500
MAX_ADMINS: Final = 10_000

PublicRecords = Callable[[Identity], NameRow | None]
"""What the resolver serves for a bridged person; None for nothing."""
Sign = Callable[[bytes], Awaitable[bytes]]
"""65 bytes r || s || v over a 32-byte digest."""
Progress = Callable[[int], None]


async def export_zone(
    store: Store,
    header: ZoneHeader,
    file: BinaryIO,
    *,
    public_records: PublicRecords,
    sign: Sign,
    progress: Progress = lambda _: None,
) -> ZoneSummary:
    """Write the zone of ``header.parent``; memory holds a page at a time.

    Each page is read as it is then: a name that changes meanwhile is in the file as it was or as it is.
    """
    writer = ZoneWriter(header)
    await asyncio.to_thread(file.write, writer.first())
    count = 0
    async for page in _pages(store, header.parent, public_records):
        await asyncio.to_thread(_write, file, writer, page)
        count += len(page)
        progress(count)
    file.write(writer.last(await sign(writer.to_sign())))
    return writer.summary()


@dataclass(frozen=True, slots=True)
class ZoneImport:
    """How a zone is taken over: who does it, and whether names that differ are replaced."""

    actor: str
    overwrite: bool = False
    expected: EthAddress | None = None
    """Whose signature it must have; that of the signer it names when None."""


@dataclass(frozen=True, slots=True)
class ZoneReport:
    """What was taken over, by outcome; ``refused`` are the first names that are others here."""

    summary: ZoneSummary
    outcomes: Mapping[Outcome, int]
    refused: tuple[EnsName, ...]
    own_people: int
    """Bridged people who have keys here and so need no copy."""


def check_zone(file: BinaryIO, parent: EnsName, expected: EthAddress | None) -> ZoneSummary:
    """Read a file to its end, and see that it is whole, signed, and of ``parent``. Raises as ``ZoneReader``."""
    reader = ZoneReader(file)
    if reader.header.parent != parent:
        raise InvalidInput(f"this is the zone of {reader.header.parent}, not of {parent}")
    for _ in reader.entries(expected):
        pass
    return reader.summary()


async def import_zone(
    store: Store,
    clock: Clock,
    parent: EnsName,
    file: BinaryIO,
    how: ZoneImport,
    *,
    progress: Progress = lambda _: None,
) -> ZoneReport:
    """Take a zone over as it is: terms, sequences, released names, reservations, admins; and people as plain rows.

    The file (seekable) is checked to its end before anything is written. Names that are here and not in the file stay.
    """
    summary = await asyncio.to_thread(check_zone, file, parent, how.expected)
    file.seek(0)
    entries = ZoneReader(file).entries(how.expected)
    outcomes: Counter[Outcome] = Counter()
    refused: list[EnsName] = []
    count = own = 0
    while page := await asyncio.to_thread(_take, entries):
        rows = [entry for entry in page if isinstance(entry, NameRow)]
        for entry in page:
            if isinstance(entry, Person):
                if await _has_keys_here(store, entry.row.name):
                    own += 1
                else:
                    rows.append(replace(entry.row, created_at=clock(), updated_at=clock()))
        put = PutNames(
            tuple(rows),
            0,
            overwrite=how.overwrite,
            verbatim=True,
            then=lambda written: _log(written, how.actor, clock()),
        )
        results = await store.commit_all(put, *_others(page))
        outcomes.update(results[0])
        refused += [row.name for row, outcome in zip(rows, results[0], strict=True) if outcome is Outcome.TAKEN]
        count += len(page)
        progress(count)
    detail = stringify({"sha256": summary.digest, "signer": summary.header.signer, "gateway": summary.header.gateway})
    await store.commit(Audit(AuditEntry(clock(), how.actor, "zone.imported", parent, detail)))
    return ZoneReport(summary, dict(outcomes), tuple(refused[:PAGE]), own)


async def _pages(store: Store, parent: EnsName, public_records: PublicRecords) -> AsyncIterator[Sequence[Entry]]:
    name: EnsName | None = None
    while names := await store.read(WholeZone(parent, PAGE, name)):
        yield names
        name = names[-1].name
    last = 0
    while people := await store.read(ListIdentities(None, PAGE, last)):
        last = people[-1].id
        yield await asyncio.to_thread(_public, people, parent, public_records)
    kept: EnsName | None = None
    while reservations := await store.read(ListReservations(PAGE, kept)):
        kept = reservations[-1].name
        yield [each for each in reservations if is_under(each.name, parent)]
    yield await store.read(AdminsOf(parent, MAX_ADMINS))


def _public(people: Sequence[Identity], parent: EnsName, public_records: PublicRecords) -> list[Entry]:
    alive = (each for each in people if is_under(each.name, parent) and each.sealed_salt is not None)
    return [Person(row) for row in map(public_records, alive) if row is not None]


def _write(file: BinaryIO, writer: ZoneWriter, page: Sequence[Entry]) -> None:
    file.write(b"".join(map(writer.entry, page)))


def _take(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, PAGE))


async def _has_keys_here(store: Store, name: EnsName) -> bool:
    identity = await store.read(IdentityNamed(name))
    return identity is not None and identity.sealed_salt is not None


def _others(page: Sequence[Entry]) -> list[Op[Any]]:
    ops: list[Op[Any]] = []
    for entry in page:
        if isinstance(entry, Reservation):
            ops.append(PutReservation(entry))
        elif isinstance(entry, Admin):
            ops.append(AddAdmin(entry))
    return ops


def _log(written: Sequence[NameRow], actor: str, now: int) -> tuple[AuditAll]:
    entries = (
        AuditEntry(now, actor, IMPORTED, row.name, stringify({"owner": row.owner, "sequence": row.sequence}))
        for row in written
    )
    return (AuditAll(tuple(entries)),)
