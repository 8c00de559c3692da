"""Taking names and changing them: one owner at a time, and no order works twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import NameChanged, NameRefused, NameTaken
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.names import (
    ListNames,
    NameNamed,
    NamesEnding,
    NamesLike,
    NamesOf,
    PutName,
)
from gateway.store.ownership import RefuseAlike, ReplaceName, TakeName, TakenFor
from tests.integration.store.values import DAY, NOW, Sql, address, name_row

BOB = name_row("bob.gw.eth", owner=address("bob"))
OTHER = replace(BOB, owner=address("mallory"))
GW = EnsName("gw.eth")


async def test_a_free_name_is_taken_once(store: Store) -> None:
    assert await store.commit(TakeName(BOB, 0)) == BOB
    for again in (BOB, OTHER):
        with pytest.raises(NameTaken):
            await store.commit(TakeName(again, NOW))
    assert await store.read(NameNamed(BOB.name)) == BOB


async def test_of_many_who_want_it_at_once_one_gets_it(store: Store) -> None:
    wanted = [TakeName(replace(BOB, owner=address(number)), 0) for number in range(20)]
    got = await asyncio.gather(*map(store.commit, wanted), return_exceptions=True)
    (winner,) = [row for row in got if not isinstance(row, BaseException)]
    assert [type(lost) for lost in got if lost is not winner] == [NameTaken] * 19
    assert await store.read(NameNamed(BOB.name)) == winner


def alike(name: str, skeleton: str = "paypal") -> TakenFor:
    """The look for names of this skeleton, of which those with an o are others to the eye."""
    return TakenFor(EnsName(name), skeleton, lambda other: "o" not in other)


def claimed(name: str) -> tuple[RefuseAlike, TakeName]:
    return RefuseAlike(alike(name)), TakeName(name_row(name, skeleton="paypal"), 0)


async def test_a_name_that_can_be_taken_for_another_is_refused(store: Store) -> None:
    await store.commit_all(*claimed("paypol.gw.eth"))
    await store.commit_all(*claimed("paypal.gw.eth"))
    with pytest.raises(NameRefused, match=r"paypa1\.gw\.eth can be taken for paypal\.gw\.eth"):
        await store.commit_all(*claimed("paypa1.gw.eth"))
    assert await store.read(alike("paypa1.gw.eth")) == "paypal.gw.eth"
    assert await store.read(alike("paypal.gw.eth")) is None
    assert await store.read(alike("paypa1.gw.eth", "else")) is None
    old = await store.read(NameNamed(EnsName("paypal.gw.eth")))
    assert old is not None
    await store.commit(ReplaceName(replace(old, released_at=NOW)))
    await store.commit_all(*claimed("paypa1.gw.eth"))
    await store.commit_all(*claimed("paypal.gw.eth"))
    assert await store.read(alike("pay-pal.gw.eth")) is not None, "who gave a name up may have it back"


async def test_of_two_nodes_that_give_out_look_alikes_at_once_one_does(store_url: str) -> None:
    """The one that is later waits for the commit of the other, however long that takes, and sees it."""
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        slow = [Sql("SELECT pg_sleep(0.3)")] if store_url.startswith("postgresql") else []
        got = await asyncio.gather(
            one.commit_all(*claimed("paypal.gw.eth"), *slow),
            two.commit_all(*claimed("paypa1.gw.eth"), *slow),
            return_exceptions=True,
        )
        assert [type(each) for each in got if isinstance(each, BaseException)] == [NameRefused], got
        assert len(await one.read(NamesLike("paypal", 9))) == 1


async def test_a_name_with_the_node_of_another(store: Store) -> None:
    await store.commit(TakeName(BOB, 0))
    with pytest.raises(NameTaken):
        await store.commit(TakeName(name_row("ann.gw.eth", node=BOB.node), 0))


async def test_a_change_works_once(store: Store) -> None:
    await store.commit(TakeName(BOB, 0))
    changed = await store.commit(ReplaceName(replace(BOB, texts={"url": "https://x"})))
    assert changed == replace(BOB, texts={"url": "https://x"}, sequence=1)
    with pytest.raises(NameChanged):
        await store.commit(ReplaceName(replace(BOB, texts={"url": "https://y"})))
    assert await store.read(NameNamed(BOB.name)) == changed


async def test_an_unknown_name_cannot_be_changed(store: Store) -> None:
    with pytest.raises(NameChanged):
        await store.commit(ReplaceName(BOB))


async def test_a_released_name_rests_for_all_but_its_last_owner(store: Store) -> None:
    await store.commit(TakeName(BOB, 0))
    gone = await store.commit(ReplaceName(replace(BOB, released_at=NOW)))
    with pytest.raises(NameChanged):
        await store.commit(ReplaceName(gone))
    with pytest.raises(NameTaken, match="rests"):
        await store.commit(TakeName(OTHER, NOW - 1))
    assert await store.commit(TakeName(BOB, NOW - 1)) == replace(BOB, sequence=2)


async def test_after_its_rest_anybody_may_have_it_and_its_orders_go_on_counting(store: Store) -> None:
    await store.commit(TakeName(BOB, 0))
    await store.commit(ReplaceName(replace(BOB, released_at=NOW)))
    assert await store.commit(TakeName(OTHER, NOW)) == replace(OTHER, sequence=2)


async def test_released_names_are_in_no_listing(store: Store) -> None:
    for label in ("ann", "bob", "cy"):
        await store.commit(TakeName(name_row(f"{label}.gw.eth", owner=address(1), skeleton="s", expires_at=NOW), 0))
    bob = await store.read(NameNamed(BOB.name))
    assert bob is not None
    await store.commit(ReplaceName(replace(bob, released_at=NOW)))
    left = ["ann.gw.eth", "cy.gw.eth"]
    for query in (ListNames(GW, 9), NamesOf(address(1), 9), NamesLike("s", 9), NamesEnding(GW, NOW + 1, 1, 9)):
        assert [row.name for row in await store.read(query)] == left, query


async def test_the_directory_holds_who_wants_to_be_found(store: Store) -> None:
    for label, listed in (("ann", True), ("bo_b", False), ("b%b", True)):
        await store.commit(PutName(name_row(f"{label}.gw.eth", listed=listed)))

    async def found(**wanted: object) -> list[str]:
        return [row.name for row in await store.read(ListNames(GW, 9, **wanted))]  # type: ignore[arg-type]

    assert await found(listed=True) == ["ann.gw.eth", "b%b.gw.eth"]
    assert await found(containing="n") == ["ann.gw.eth"]
    assert await found(containing="_") == ["bo_b.gw.eth"]
    assert await found(containing="%") == ["b%b.gw.eth"]


async def test_who_is_to_be_reminded(store: Store) -> None:
    for label, end, reminded in (("ann", NOW + DAY, 0), ("bob", NOW, 0), ("cy", NOW, 1), ("di", None, 0)):
        await store.commit(PutName(name_row(f"{label}.gw.eth", expires_at=end, reminded=reminded)))
    ending = await store.read(NamesEnding(GW, NOW + DAY + 1, 1, 9))
    assert [row.name for row in ending] == ["bob.gw.eth", "ann.gw.eth"]
    assert [row.name for row in await store.read(NamesEnding(GW, NOW + DAY, 2, 9))] == ["bob.gw.eth", "cy.gw.eth"]


async def test_putting_a_name_does_not_begin_its_orders_anew(store: Store) -> None:
    await store.commit(TakeName(BOB, 0))
    await store.commit(ReplaceName(BOB))
    await store.commit(PutName(BOB))
    with pytest.raises(NameChanged):
        await store.commit(ReplaceName(BOB))
