"""Rows of the name service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import InvalidInput
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.names import ListNames, NameNamed, NameRow, PutName
from tests.integration.store.values import NOW
from tests.integration.store.values import name_row as row


async def names_below(store: Store, suffix: str, limit: int = 100, after: str | None = None) -> list[str]:
    cursor = None if after is None else EnsName(after)
    return [found.name for found in await store.read(ListNames(EnsName(suffix), limit, cursor))]


@pytest.mark.parametrize(
    "stored",
    [
        row("bob.gw.eth"),
        row("bob.gw.eth", owner=None, address=None, coins={}, texts={}, contenthash=None),
        row("bob.gw.eth", address=b"", contenthash=b"", coins={60: b""}),
        row("ω-🎈.gw.eth", texts={"description": 'quote " back \\ line \n nul-free ✓', "ключ": "x" * 10_000}),
    ],
)
async def test_a_row_is_returned_unchanged(store: Store, stored: NameRow) -> None:
    assert await store.commit(PutName(stored)) is True
    assert await store.read(NameNamed(stored.name)) == stored


async def test_absent_names(store: Store) -> None:
    assert await store.read(NameNamed(EnsName("bob.gw.eth"))) is None


async def test_putting_again_replaces_the_records_and_keeps_the_birthday(store: Store) -> None:
    await store.commit(PutName(row("bob.gw.eth")))
    changed = row(
        "bob.gw.eth", owner=None, coins={}, texts={"url": "https://x"}, created_at=NOW + 9, updated_at=NOW + 9
    )
    assert await store.commit(PutName(changed)) is False
    assert await store.read(NameNamed(changed.name)) == replace(changed, created_at=NOW)


async def test_two_names_cannot_have_one_node(store: Store) -> None:
    bob = row("bob.gw.eth")
    await store.commit(PutName(bob))
    with pytest.raises(InvalidInput):
        await store.commit(PutName(row("ann.gw.eth", node=bob.node)))
    assert await store.read(NameNamed(EnsName("ann.gw.eth"))) is None


async def test_listing_shows_what_is_below_and_nothing_else(store: Store) -> None:
    below = ["a.gw.eth", "a-b.gw.eth", "x.a.gw.eth", "z.gw.eth", "0.gw.eth", "zwölf.gw.eth"]
    others = ["gw.eth", "agw.eth", "a.gw-eth", "a.gw.ethx", "gw.eth.org", "a.gwz.eth", "a.g.eth", "eth"]
    for name in below + others:
        await store.commit(PutName(row(name)))
    assert sorted(await names_below(store, "gw.eth")) == sorted(below)
    assert await names_below(store, "a.gw.eth") == ["x.a.gw.eth"]
    assert await names_below(store, "z.gw.eth") == []


async def test_listing_in_pages_shows_everything_once(store: Store) -> None:
    names = [f"n{n}.gw.eth" for n in range(11)] + ["n-1.gw.eth", "sub.n1.gw.eth", "ä.gw.eth"]
    for name in names:
        await store.commit(PutName(row(name)))
    shown: list[str] = []
    while page := await names_below(store, "gw.eth", 3, shown[-1] if shown else None):
        assert len(page) <= 3
        shown += page
    assert len(shown) == len(set(shown)) == len(names)
    assert set(shown) == set(names)


async def test_a_cursor_outside_does_not_show_other_names(store: Store) -> None:
    for name in ("a.gw.eth", "b.gw.eth", "a.aa.eth"):
        await store.commit(PutName(row(name)))
    assert await names_below(store, "gw.eth", after="a.aa.eth") == ["a.gw.eth", "b.gw.eth"]
    assert await names_below(store, "gw.eth", after="z.zz.eth") == []
