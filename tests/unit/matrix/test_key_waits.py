"""How long a room is held up for keys that do not come, and what is said of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from adapters.matrix.crypto.errors import KeyAwaited, KeyMissing
from adapters.matrix.crypto.keys import Crypto
from adapters.matrix.crypto.reading import AGAIN_SECONDS, IN_VAIN_SECONDS, WAIT_SECONDS, Reader
from adapters.matrix.ids import EventId, Mxid, RoomId
from adapters.matrix.portals import Portal, PortalKind
from adapters.matrix.reading import RoomEvent
from adapters.matrix.settings import Permission
from adapters.matrix.status import Status
from adapters.matrix.world import World
from gateway.sdk import CanonicalId, EnsName, Network
from gateway.sdk.testing import MemoryContext

ROOM, NAME = RoomId("!room"), EnsName("bob.eth")
ALICE, MALLORY, NOBODY = Mxid("@alice:hs"), Mxid("@mallory:hs"), Mxid("@nobody:elsewhere")


class Room:
    """A reader of one room whose keys are missing unless they stand in `keys`; time is what `now` says."""

    def __init__(self, kind: PortalKind = PortalKind.DIRECT) -> None:
        self.now = 1_000.0
        self.keys: set[str] = set()
        self.withheld_ = ""
        self.collections = 0
        self.words: list[str] = []
        self.marks: list[str] = []
        portal = Portal(ROOM, CanonicalId(ALICE), NAME, kind)
        ghost = SimpleNamespace(user=Mxid("@dm3_bob.eth:hs"))

        async def open_in(_room: str) -> list[Portal]:
            return [portal]

        async def ghost_of(_name: str) -> Any:
            return ghost

        world = SimpleNamespace(
            portals=SimpleNamespace(open_in=open_in),
            ghosts=SimpleNamespace(known=lambda _name: ghost, of=ghost_of),
            ids=SimpleNamespace(is_ours=lambda _user: False),
            settings=SimpleNamespace(permission_of=lambda user: Permission.NONE if user == NOBODY else Permission.USER),
            is_ignored=lambda _user: False,
            ctx=MemoryContext(network=Network("matrix")),
        )
        self.reader = Reader(cast(World, world), cast(Crypto, self), cast(Status, self), clock=lambda: self.now)

    # --- crypto and status --------------------------------------------------------------------------------------------

    async def opened(self, event: RoomEvent, _users: object) -> tuple[str, dict[str, Any]]:
        if event.content["session_id"] not in self.keys:
            raise KeyMissing
        return "m.room.message", {}

    async def withheld(self, _event: object, _users: object) -> str:
        return self.withheld_

    async def collect(self, _users: object) -> None:
        self.collections += 1

    async def failed(self, _portal: object, _ghost: object, event: str, _reason: str) -> None:
        self.words.append(event)

    async def report(self, status: Any) -> None:
        self.marks.append(status.native_id)

    # --- what happens -------------------------------------------------------------------------------------------------

    async def held(self, session: str, sender: Mxid = ALICE) -> float:
        """For how many seconds an event holds up the room."""
        event = RoomEvent("m.room.encrypted", ROOM, sender, EventId(f"${session}"), 1, {"session_id": session})
        began = self.now
        while True:
            try:
                await self.reader.read(event)
            except KeyAwaited:
                self.now += 0.25
            else:
                return self.now - began


@pytest.mark.parametrize("sender", [MALLORY, NOBODY])
async def test_nobody_waits_for_whom_nobody_hears(sender: Mxid) -> None:
    room = Room()
    assert await room.held("s", sender) == 0
    assert (room.collections, room.words, room.marks) == (0, [], [])


async def test_invented_keys_hold_up_a_room_once() -> None:
    room = Room(PortalKind.GROUP)
    held = [await room.held(f"s{number}", MALLORY) for number in range(50)]
    assert held == [WAIT_SECONDS, AGAIN_SECONDS, *([0] * 48)]
    assert (room.collections, room.words) == (1, ["$s0"])
    assert len(room.marks) == 49, "each is marked"
    assert await room.held("t", ALICE) == WAIT_SECONDS, "nobody else pays for it"
    assert room.words == ["$s0", "$t"]
    room.now += IN_VAIN_SECONDS + 1
    assert await room.held("u", MALLORY) == WAIT_SECONDS
    assert room.words == ["$s0", "$t", "$u"]


async def test_keys_that_are_said_to_be_withheld_are_told_of_once() -> None:
    room = Room(PortalKind.GROUP)
    room.withheld_ = "m.unverified"
    for number in range(10):
        assert await room.held(f"s{number}", MALLORY) == 0
    assert room.words == ["$s0"]


async def test_who_writes_again_after_a_lost_key_is_read_though_the_new_key_is_overtaken() -> None:
    room = Room()
    await room.held("lost")
    event = RoomEvent("m.room.encrypted", ROOM, ALICE, EventId("$again"), 1, {"session_id": "new"})
    with pytest.raises(KeyAwaited):
        await room.reader.read(event)
    room.keys.add("new")
    read = await room.reader.read(event)
    assert read is not None
    assert read.type == "m.room.message"


async def test_what_is_kept_of_an_invention_is_short() -> None:
    room = Room()
    await room.held("x" * 60_000)
    assert all(len(each) < 1_000 for session in room.reader._waits for each in session)
