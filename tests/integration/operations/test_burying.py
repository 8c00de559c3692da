"""People who are deleted where no node runs: the name that was linked to them is told as one of a node is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import NameChanged
from gateway.ids import EnsName
from gateway.joining.burying import bury
from gateway.store import Store
from gateway.store.audit import LatestEntries
from gateway.store.identities import Identity, IdentityNamed, IssueIdentity
from gateway.store.lanes import LaneJobs
from gateway.store.links import LinkIdentity
from gateway.store.names import NameNamed
from gateway.store.ownership import ReplaceName, TakeName
from gateway.store.webhooks import AddWebhook, Webhook, webhook_lane
from gateway.subnames.departure import TRIES
from tests.integration.store.values import NOW, identity, name_row

GW, OLD = EnsName("gw.eth"), EnsName("old.eth")
PROFILE = "network.dm3.profile"


async def linked(store: Store, name: str) -> Identity:
    """Ann, who has linked a claimed name, of which a receiver hears."""
    row = name_row(name, texts={PROFILE: "data:,x", "url": "https://x"})
    ann = await store.commit(IssueIdentity(identity("ann")))
    await store.commit(TakeName(row, 0))
    return await store.commit(LinkIdentity(ann.id, ann.epoch, row.name, "0xsigned", NOW))


async def heard(store: Store, name: str) -> tuple[int, list[str]]:
    """How many events wait for the receiver, and what the log says of a name."""
    entries = await store.read(LatestEntries(EnsName(name), 9))
    return len(await store.read(LaneJobs(webhook_lane("hook"), 9))), [each.entry.action for each in entries]


@pytest.mark.parametrize(
    ("name", "parent"),
    [("bob.gw.eth", GW), ("bob.deep.gw.eth", GW), ("bob.old.eth", OLD)],
    ids=["below-the-parent", "deeper", "below-a-parent-that-was-given-up"],
)
async def test_the_end_of_a_link_is_told(store: Store, name: str, parent: EnsName) -> None:
    ann = await linked(store, name)
    await store.commit(AddWebhook(Webhook("hook", parent, "https://x.example/", ("name.unlinked",), b"", NOW)))
    await bury(store, ann, "tombstone", parents=(GW,))
    left = await store.read(NameNamed(EnsName(name)))
    assert left is not None
    assert left.texts == {"url": "https://x"}
    assert await heard(store, name) == (1, ["name.unlinked"])
    assert await store.read(IdentityNamed(ann.name)) is None


@pytest.mark.parametrize("times", [TRIES - 1, TRIES])
async def test_others_who_change_the_name_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    ann = await linked(store, "bob.gw.eth")
    read, overtaken = store.read, 0

    async def slowly(query: Any) -> Any:
        """Somebody else is quicker between the look at the name and its change."""
        nonlocal overtaken
        found = await read(query)
        if isinstance(query, NameNamed) and overtaken < times:
            overtaken += 1
            await store.commit(ReplaceName(replace(found, texts={**found.texts, "url": f"https://{overtaken}"})))
        return found

    monkeypatch.setattr(store, "read", slowly)
    if times < TRIES:
        await bury(store, ann, "tombstone", parents=(GW,))
    else:
        with pytest.raises(NameChanged):
            await bury(store, ann, "tombstone", parents=(GW,))
    monkeypatch.undo()
    left = await store.read(NameNamed(EnsName("bob.gw.eth")))
    assert left is not None
    assert left.texts["url"] == f"https://{times}", "what others wrote stays"
    assert (PROFILE in left.texts) is (times == TRIES)
    assert (await store.read(IdentityNamed(ann.name)) is None) is (times < TRIES), "keys go after the link"


async def test_a_name_that_was_given_up_meanwhile(store: Store) -> None:
    ann = await linked(store, "bob.gw.eth")
    row = await store.read(NameNamed(EnsName("bob.gw.eth")))
    assert row is not None
    await store.commit(ReplaceName(replace(row, released_at=NOW)))
    await bury(store, ann, "tombstone", parents=(GW,))
    assert await store.read(IdentityNamed(ann.name)) is None
