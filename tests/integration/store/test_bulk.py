"""Many names in one operation."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import NameTaken
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.audit import BEGINNING, Audit, AuditAll, AuditEntry, AuditPage, first_break
from gateway.store.bulk import NamesAmong, Outcome, PutNames
from gateway.store.names import NameNamed, Origin, PutName
from gateway.store.reservations import Hold, PutReservation, Reservation
from tests.integration.store.values import NOW, address, name_row

NEW = tuple(name_row(f"n{number}.gw.eth", origin=Origin.IMPORT, skeleton=f"s{number}") for number in range(1000))
USED = name_row("used.gw.eth", created_at=NOW - 9, sequence=4, skeleton="used")
FREE = name_row("free.gw.eth", released_at=NOW - 50, sequence=7)
REST = name_row("rest.gw.eth", released_at=NOW - 10, sequence=7)


async def test_a_thousand_at_once(store: Store) -> None:
    assert await store.commit(PutNames(NEW, NOW)) == [Outcome.NEW] * 1000
    assert await store.read(NameNamed(NEW[999].name)) == NEW[999]
    assert await store.commit(PutNames(NEW, NOW)) == [Outcome.SAME] * 1000
    among = await store.read(NamesAmong(tuple(row.name for row in NEW), ("s1",)))
    assert len(among.rows) == 1000
    assert among.alike == {}


async def test_names_that_are_used_rest_or_are_free(store: Store) -> None:
    for row in (USED, FREE, REST):
        await store.commit(PutName(row))
    rows = tuple(
        replace(row, released_at=None, owner=address("x"), origin=Origin.IMPORT) for row in (USED, FREE, REST, NEW[0])
    )
    put = PutNames(rows, NOW - 50)
    known = await store.read(NamesAmong(tuple(row.name for row in rows)))
    expected = [Outcome.TAKEN, Outcome.NEW, Outcome.RESTING, Outcome.NEW]
    assert put.foreseen(known.rows) == expected
    with pytest.raises(NameTaken):
        await store.commit(replace(put, strict=True))
    assert await store.read(NameNamed(NEW[0].name)) is None
    assert await store.commit(put) == expected
    assert await store.read(NameNamed(USED.name)) == USED
    free = await store.read(NameNamed(FREE.name))
    assert free is not None
    assert (free.released_at, free.owner, free.sequence) == (None, address("x"), 8)
    back = replace(REST, released_at=None)
    assert await store.commit(PutNames((back,), NOW - 50)) == [Outcome.NEW], "its last owner need not wait"


async def test_overwriting_keeps_history(store: Store) -> None:
    await store.commit(PutName(USED))
    over = replace(USED, texts={"url": "x"}, created_at=NOW, origin=Origin.IMPORT, sequence=0)
    assert await store.commit(PutNames((over,), 0, overwrite=True)) == [Outcome.CHANGED]
    assert await store.read(NameNamed(USED.name)) == replace(
        over, created_at=NOW - 9, origin=Origin.OPERATOR, sequence=5
    )
    assert await store.commit(PutNames((over,), 0, overwrite=True)) == [Outcome.SAME]


async def test_what_goes_with_it_is_written_with_it(store: Store) -> None:
    await store.commit(PutName(USED))

    def then(rows: tuple[object, ...]) -> tuple[AuditAll]:
        return (AuditAll(tuple(AuditEntry(NOW, "operator", "name.imported", EnsName(row.name)) for row in rows)),)  # type: ignore[attr-defined]

    put = PutNames((*NEW[:3], replace(USED, listed=True)), 0, then=then)
    assert put.wakes(await store.commit(put))
    log = await store.read(AuditPage(0, 9))
    assert [each.entry.subject for each in log] == [row.name for row in NEW[:3]]
    await store.commit(Audit(AuditEntry(NOW, "operator", "last", USED.name)))
    await store.commit(AuditAll(()))
    log = await store.read(AuditPage(0, 9))
    assert len(log) == 4
    assert first_break(BEGINNING, log) is None
    assert put.wakes(await store.commit(put)) is False
    assert len(await store.read(AuditPage(0, 9))) == 4


async def test_two_who_import_the_same_at_once(store: Store, store_url: str) -> None:
    async with await Store.open(store_url) as other:
        results = await asyncio.gather(*(each.commit(PutNames(NEW[:50], 0)) for each in (store, other)))
    assert sorted(outcomes.count(Outcome.NEW) for outcomes in results) == [0, 50]


async def test_what_is_known_of_names(store: Store) -> None:
    for row in (USED, FREE):
        await store.commit(PutName(row))
    kept = Reservation(EnsName("kept.gw.eth"), Hold.RESERVED, None, "", NOW)
    await store.commit(PutReservation(kept))
    among = await store.read(NamesAmong((FREE.name, kept.name, NEW[0].name), ("used", "other")))
    assert among.rows == {FREE.name: FREE}
    assert among.reservations == {kept.name: kept}
    assert among.alike == {"used": USED.name}
