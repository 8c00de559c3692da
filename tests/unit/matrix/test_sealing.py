"""What is written into an encrypted room when the homeserver's answers leave out or garble who could read it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.matrix.client import Homeserver
from adapters.matrix.crypto.errors import DevicesUnknown
from adapters.matrix.crypto.keys import Crypto
from adapters.matrix.crypto.machine import Machine
from adapters.matrix.errors import HomeserverDown
from adapters.matrix.ids import Ids, Mxid, RoomId

ROOM = RoomId("!room")
ALICE, MALLORY, GHOST = Mxid("@alice:hs"), Mxid("@mallory:elsewhere"), Mxid("@dm3_bob.eth:hs")
CLEAR = {"msgtype": "m.text", "body": "x"}


class Answering(Homeserver):
    """Answers out of tables, and keeps to whom messages went."""

    def __init__(self, folder: Path) -> None:
        super().__init__("http://nowhere", "token", timeout=1)
        folder.mkdir()
        alice = Machine(ALICE, "ALICES", folder, "a key")
        body = alice.to_upload()
        alice.close()
        self.alice: Mapping[str, Any] = {"ALICES": body["device_keys"]}
        self.one_time = list(body["one_time_keys"].items())
        self.devices: dict[str, Any] = {}
        self.given: list[str] = []

    async def call(self, method: str, path: str, *_rest: Any, **_named: Any) -> dict[str, Any]:
        match path.removeprefix("/_matrix/client/v3/").split("/"):
            case [*_, "state", "m.room.encryption", ""]:
                return {"algorithm": "m.megolm.v1.aes-sha2"}
            case [*_, "members"]:
                members = (ALICE, MALLORY, GHOST)
                return {"chunk": [{"state_key": user, "content": {"membership": "join"}} for user in members]}
            case ["keys", "query"]:
                return {"device_keys": self.devices}
            case ["keys", "claim"]:
                return {"one_time_keys": {ALICE: {"ALICES": dict([self.one_time.pop()])}}}
            case ["sendToDevice", *_]:
                self.given += list(_rest[0]["messages"])
        return {}


@pytest.fixture
def homeserver(tmp_path: Path) -> Answering:
    return Answering(tmp_path / "alice")


@pytest_asyncio.fixture
async def crypto(homeserver: Answering, tmp_path: Path) -> AsyncIterator[Crypto]:
    opened = Crypto(homeserver, Ids("hs", "dm3"), tmp_path / "keys", b"s" * 32)
    await opened.open()
    yield opened
    await opened.close()


async def seal(crypto: Crypto) -> Mapping[str, Any]:
    assert await crypto.is_encrypted(ROOM, GHOST)
    return await crypto.seal(ROOM, GHOST, "m.room.message", CLEAR)


async def test_one_members_malformed_device_hides_nothing_from_the_others(
    crypto: Crypto, homeserver: Answering
) -> None:
    homeserver.devices = {MALLORY: {"M": {"keys": {"ed25519:M": "?"}}}, ALICE: homeserver.alice}
    assert "ciphertext" in await seal(crypto)
    assert homeserver.given == [ALICE]


async def test_nothing_is_written_for_nobody_and_the_next_try_is_read(crypto: Crypto, homeserver: Answering) -> None:
    homeserver.devices = {MALLORY: {"M": {}}, ALICE: None}
    with pytest.raises(DevicesUnknown) as caught:
        await seal(crypto)
    assert isinstance(caught.value, HomeserverDown), "what is delivered waits, as for a homeserver that is down"
    homeserver.devices = {ALICE: homeserver.alice}
    await seal(crypto)
    assert homeserver.given == [ALICE]


async def test_people_who_have_no_device_are_not_waited_for(crypto: Crypto, homeserver: Answering) -> None:
    homeserver.devices = {MALLORY: {}, ALICE: {}}
    assert "ciphertext" in await seal(crypto)
    assert homeserver.given == []
