"""The log of what was done to names: whatever is changed in it shows."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import NameTaken
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.audit import (
    BEGINNING,
    Audit,
    AuditEntry,
    AuditPage,
    LatestEntries,
    LoggedEntry,
    digest_of,
    first_break,
)
from gateway.store.ownership import TakeName
from tests.integration.store.values import NOW, Sql, name_row

BOB = EnsName("bob.gw.eth")


def entry(number: int, subject: str = BOB) -> AuditEntry:
    return AuditEntry(NOW + number, f"key:{number}", "name.set", subject, f'{{"n":{number}}}')


async def whole(store: Store) -> list[LoggedEntry]:
    return await store.read(AuditPage(0, 1000))


async def test_entries_come_back_in_order_and_vouch_for_each_other(store: Store) -> None:
    for number in range(5):
        await store.commit(Audit(entry(number)))
    log = await whole(store)
    assert [logged.entry for logged in log] == [entry(number) for number in range(5)]
    assert first_break(BEGINNING, log) is None
    assert await store.read(AuditPage(log[2].seq, 1)) == [log[3]]


async def test_entries_of_many_at_once_are_one_chain(store: Store) -> None:
    await asyncio.gather(*(store.commit(Audit(entry(number))) for number in range(50)))
    log = await whole(store)
    assert len(log) == 50
    assert first_break(BEGINNING, log) is None


@pytest.mark.attack(50)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'key:9' WHERE seq = {seq}",
        "UPDATE audit SET detail = '{{}}' WHERE seq = {seq}",
        "UPDATE audit SET at = at + 1 WHERE seq = {seq}",
        "DELETE FROM audit WHERE seq = {seq}",
    ],
)
async def test_an_entry_that_was_changed_breaks_the_chain(store: Store, change: str) -> None:
    for number in range(5):
        await store.commit(Audit(entry(number)))
    third = (await whole(store))[2]
    await store.commit(Sql(change.format(seq=third.seq)))
    broken = first_break(BEGINNING, await whole(store))
    assert broken is not None
    assert broken.seq - third.seq in (0, 1)


def test_parts_cannot_change_places_between_fields() -> None:
    one, other = AuditEntry(1, "ab", "c", "d"), AuditEntry(1, "a", "bc", "d")
    assert digest_of(BEGINNING, one) != digest_of(BEGINNING, other)


async def test_what_did_not_happen_is_not_logged(store: Store) -> None:
    bob = name_row("bob.gw.eth")
    await store.commit_all(TakeName(bob, 0), Audit(entry(1)))
    with pytest.raises(NameTaken):
        await store.commit_all(Audit(entry(2)), TakeName(bob, 0))
    assert [logged.entry for logged in await whole(store)] == [entry(1)]


async def test_the_history_of_one_name(store: Store) -> None:
    for number in range(6):
        await store.commit(Audit(entry(number, "bob.gw.eth" if number % 2 else "ann.gw.eth")))
    history = await store.read(LatestEntries(BOB, 2))
    assert [logged.entry for logged in history] == [entry(5), entry(3)]
    assert [logged.entry.at for logged in await store.read(AuditPage(0, 9, BOB))] == [NOW + 1, NOW + 3, NOW + 5]
    await store.commit(Audit(replace(entry(7), action="key.created")))
    some = await store.read(LatestEntries(BOB, 1, (entry(5).action,)))
    assert [logged.entry for logged in some] == [entry(5)], "the others do not take the room of these"
