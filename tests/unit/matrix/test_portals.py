"""Whose portal a room is, as it goes from one person to another."""

from __future__ import annotations

import json

import pytest

from adapters.matrix.ids import EventId, RoomId
from adapters.matrix.portals import CURRENT, FORMER, ROOM, Portal, PortalKind, Portals, Sending
from gateway.sdk import CanonicalId, EnsName, Value
from gateway.sdk.testing.context import MemoryValues

ALICE, MALLORY, VOICE = (CanonicalId(f"@{each}:example.org") for each in ("alice", "mallory", "dm3room_x"))
BANK = EnsName("bank.eth")
ONE, TWO = RoomId("!one"), RoomId("!two")


@pytest.fixture
def portals() -> Portals:
    return Portals(MemoryValues())


def fresh(portals: Portals) -> Portals:
    """The same, by another node."""
    return Portals(portals._values)


@pytest.mark.parametrize("taken_by", [Portal(ONE, MALLORY, BANK), Portal(ONE, VOICE, BANK, PortalKind.GROUP)])
@pytest.mark.parametrize("declined", [False, True])
async def test_a_room_that_another_person_has_by_now_is_nobody_elses(
    portals: Portals, taken_by: Portal, declined: bool
) -> None:
    alice = Portal(ONE, ALICE, BANK)
    await portals.put(alice)
    await portals.shown(alice, Sending("key", ONE, 1, (EventId("$private"),)), unread=True)
    await portals.change(alice, closed=True, declined=declined)
    await portals.put(taken_by)
    for seen in (portals, fresh(portals)):
        assert await seen.of(taken_by.person, BANK) == taken_by
        assert await seen.in_room(ONE) == [taken_by]
        assert await seen.of(ALICE, BANK) == Portal(ONE, ALICE, BANK, closed=True, declined=declined)
        assert await seen.last_room(ALICE, BANK) == ONE
        assert await seen.unread(taken_by) == (), "what Alice has not read is not for others to have read"
    # Late news of hers change nothing of theirs.
    for closed in (False, True):
        await portals.change(alice, closed=closed, declined=False)
        await portals.close(alice)
        assert await fresh(portals).of(taken_by.person, BANK) == taken_by


async def test_who_begins_anew_has_said_yes(portals: Portals) -> None:
    await portals.put(Portal(ONE, ALICE, BANK))
    await portals.change(Portal(ONE, ALICE, BANK), closed=True, declined=True)
    await portals.put(Portal(ONE, MALLORY, BANK))
    await portals.put(Portal(TWO, ALICE, BANK))
    assert await fresh(portals).of(ALICE, BANK) == Portal(TWO, ALICE, BANK)
    # Once more into the first room, which is hers again.
    await portals.put(Portal(ONE, ALICE, BANK))
    assert await fresh(portals).of(ALICE, BANK) == Portal(ONE, ALICE, BANK)
    former = await fresh(portals).of(MALLORY, BANK)
    assert former is not None
    assert former.closed


async def test_an_old_room_that_goes_to_another_changes_nothing_of_the_new_one(portals: Portals) -> None:
    await portals.put(Portal(ONE, ALICE, BANK))
    await portals.put(Portal(TWO, ALICE, BANK))
    await portals.change(Portal(TWO, ALICE, BANK), closed=True, declined=True)
    await portals.put(Portal(TWO, MALLORY, BANK))
    await portals.put(Portal(ONE, MALLORY, BANK))
    assert await fresh(portals).of(ALICE, BANK) == Portal(TWO, ALICE, BANK, closed=True, declined=True)


async def test_what_an_older_version_kept_is_read(portals: Portals) -> None:
    """It wrote one row for a room, whosever it was, and nothing of who had it before."""
    row = {"room": ONE, "person": MALLORY, "name": BANK, "kind": "direct", "closed": False, "accepted": True}
    await portals._values.put(
        Value(ROOM, f"{ONE} {BANK}", json.dumps(row)),
        Value(CURRENT, f"{ALICE} {BANK}", ONE),
        Value(CURRENT, f"{MALLORY} {BANK}", ONE),
    )
    assert await portals.of(MALLORY, BANK) == Portal(ONE, MALLORY, BANK)
    assert await portals.of(ALICE, BANK) is None
    assert await portals.last_room(ALICE, BANK) == ONE


async def test_who_is_deleted_takes_nothing_of_others_along(portals: Portals) -> None:
    await portals.put(Portal(ONE, ALICE, BANK))
    await portals.put(Portal(ONE, MALLORY, BANK))
    assert await portals.drop_person(ALICE) == []
    assert await portals.of(MALLORY, BANK) == Portal(ONE, MALLORY, BANK)
    for kind in (CURRENT, FORMER):
        assert await portals._values.find(kind, f"{ALICE} ") == []
