"""A claimed name is linked to a person of another network: code, one signature, and what others see afterwards."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.dm3.data_uri import data_uri
from gateway.dm3.eth import address_of, sign_text
from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk.delivery import DeliveryState
from gateway.store.identities import IdentityNamed
from gateway.store.jobs import JobState
from gateway.store.names import NameNamed
from gateway.store.queue import QueueList
from gateway.work import results
from tests.integration.subnames.conftest import OPEN
from tests.integration.subnames.wallets import Wallet, detail, shown
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import mail_of, until

BOB = "bob@example.org"
GIVEN = EnsName("bob.example.org.paper.gw.eth")
NAME = EnsName("robert.gw.eth")
CODE = re.compile(r"\b[A-Z2-9]{4}-[A-Z2-9]{4}\b")


@dataclass
class World:
    """A house with a network, somebody there who has written before, their wallet with a name, and a native person."""

    house: House
    paper: PaperAdapter
    bob: Wallet
    native: Dm3Client

    async def request(self, person: str = BOB, wallet: Wallet | None = None, name: str = NAME) -> Any:
        wallet = wallet or self.bob
        return await wallet.post(f"/names/{name}/link", {"network": "paper", "person": person}, session=True)

    async def code(self, person: str = BOB) -> str:
        """The code that arrived last in the person's network."""

        async def look() -> str | None:
            notes = [each for each in self.paper.delivered if each.automatic and each.recipient == person]
            codes = [found[0] for each in notes if (found := CODE.search(each.text))]
            return codes[-1] if codes else None

        return await until(look)

    async def confirm(self, message: str, code: str, wallet: Wallet | None = None) -> Any:
        wallet = wallet or self.bob
        body = {"code": code, "signature": sign_text(wallet.key, message)}
        return await wallet.post(f"/names/{NAME}/link/confirm", body, session=True)

    async def link(self) -> None:
        asked = await self.request()
        assert asked.status_code == 202, asked.text
        answer = await self.confirm(asked.json()["message"], await self.code())
        assert answer.status_code == 200, answer.text
        assert (answer.json()["level"], answer.json()["network"]) == ("owned", "paper")

    def mail(self) -> list[Any]:
        """What people wrote to bob, without what the gateway said."""
        return [each for each in self.paper.delivered if not each.automatic]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (0.02,) * 6)
    paper = PaperAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}, overrides=OPEN) as house:
        native = await house.native("native.eth")
        await paper.write(BOB, native.name, "hello", "n1")
        await native.acknowledge(*await mail_of(native))
        bob = Wallet(house, secrets.token_bytes(32))
        assert (await bob.claim(NAME)).status_code == 201
        yield World(house, paper, bob, native)


async def test_afterwards_the_name_is_what_others_see(world: World) -> None:
    await world.link()
    await world.paper.write(BOB, world.native.name, "it is me", "n2")
    (received,) = await mail_of(world.native)
    assert (received.sender, received.verified) == (NAME, True)
    assert (received.message.text or "").startswith("it is me")
    await world.native.acknowledge(received)

    sent = await world.native.send(NAME, "good day")
    await until(lambda: _first(world.mail()))
    (delivery,) = world.mail()
    assert (delivery.recipient, delivery.text, delivery.verified) == (BOB, "good day", True)
    (receipt,) = await mail_of(world.native, kind=MessageType.READ_RECEIVED)
    assert (receipt.sender, receipt.verified) == (NAME, True)
    assert receipt.message.reference == sent.message_hash


async def test_the_name_that_was_given_first_still_leads_there(world: World) -> None:
    await world.link()
    sent = await world.native.send(GIVEN, "to the old name")
    await until(lambda: _first(world.mail()))
    assert [each.text for each in world.mail()] == ["to the old name"]
    (receipt,) = await mail_of(world.native, kind=MessageType.READ_RECEIVED)
    assert (receipt.sender, receipt.message.reference) == (GIVEN, sent.message_hash), "as it was written to"


async def test_what_the_wallet_signed_is_the_profile_that_everybody_finds(world: World) -> None:
    await world.link()
    found = await world.house.profiles.user(NAME, fresh=True)
    assert found.address == world.bob.address
    given = await world.house.profiles.user(GIVEN)
    assert found.profile == given.profile


async def test_a_first_message_does_not_say_who_they_are_in_their_network(world: World) -> None:
    await world.link()
    other = await world.house.native("other.eth", "alice")
    await world.paper.write(BOB, other.name, "hi", "n3")
    (received,) = await mail_of(other)
    assert "not end-to-end encrypted" in (received.message.text or "")
    assert BOB not in (received.message.text or "")
    assert NAME in (received.message.text or "")


async def test_the_person_is_told_what_happens(world: World) -> None:
    asked = await world.request()
    code = await world.code()
    (note,) = [each for each in world.paper.delivered if each.automatic]
    assert note.text.startswith("[gateway] ")
    assert str(NAME) in note.text
    assert world.bob.shown in note.text
    assert note.sender == "ds.gw.eth"
    await world.confirm(asked.json()["message"], code)

    async def told() -> bool | None:
        return any("is linked to you" in each.text for each in world.paper.delivered) or None

    await until(told)


async def test_a_code_is_typed_as_people_type(world: World) -> None:
    asked = await world.request()
    code = (await world.code()).lower().replace("-", " ")
    assert (await world.confirm(asked.json()["message"], code)).status_code == 200


async def test_wrong_codes_use_it_up(world: World) -> None:
    message = (await world.request()).json()["message"]
    right = await world.code()
    for _ in range(5):
        assert "wrong" in detail(await world.confirm(message, "AAAA-AAAA"), 403)
    assert "wrong" in detail(await world.confirm(message, right), 403)
    assert (await shown(world.house, NAME))["level"] == "claimed"


@pytest.mark.attack(9)
async def test_a_code_alone_makes_no_link(world: World) -> None:
    """Who reads bob's mail has the code, but not the wallet; and the other way round."""
    message = (await world.request()).json()["message"]
    code = await world.code()
    mallory = Wallet(world.house, secrets.token_bytes(32))
    await mallory.sign_in()
    assert "another wallet" in detail(await world.confirm(message, code, mallory), 403)
    body = {"code": code, "signature": sign_text(mallory.key, message)}
    refused = await world.bob.post(f"/names/{NAME}/link/confirm", body, session=True)
    assert "not the signature" in detail(refused, 403)
    assert (await world.confirm(message, code)).status_code == 200, "and a wrong signature has not used it up"


@pytest.mark.attack(9)
async def test_the_signature_is_on_the_keys_of_that_very_person(world: World) -> None:
    """One statement holds the address and the keys: neither can be put in place of another."""
    asked = await world.request("cy@example.org")
    theirs = asked.json()["message"]
    assert asked.status_code == 202
    code = await world.code("cy@example.org")
    other = Wallet(world.house, secrets.token_bytes(32))
    for wrong in (theirs.replace(world.bob.shown, other.shown), theirs.replace("publicSigningKey", "publicsigningKey")):
        assert wrong != theirs
        assert "not the signature" in detail(await world.confirm(wrong, code), 403)


async def test_codes_are_not_sent_often(world: World) -> None:
    assert (await world.request()).status_code == 202
    assert (await world.request()).status_code == 429
    assert (await world.request("cy@example.org")).status_code == 429, "one name, one code at a time"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"network": "pigeon", "person": BOB}, "there is no network pigeon"),
        ({"network": "paper", "person": ""}, "person"),
        ({"network": "paper"}, "person"),
    ],
)
async def test_requests_that_cannot_be(world: World, body: dict[str, str], told: str) -> None:
    assert told in detail(await world.bob.post(f"/names/{NAME}/link", body, session=True), 400)


async def test_nobody_links_without_signing_in(world: World) -> None:
    for path in (f"/names/{NAME}/link", f"/names/{NAME}/link/confirm"):
        assert (await world.bob.post(path, {"network": "paper", "person": BOB})).status_code == 401


async def test_the_owner_sees_whom_it_is_linked_to_and_others_do_not(world: World) -> None:
    await world.link()
    mine = (await world.bob.get("/wallet/names", session=True)).json()["names"][0]
    assert mine["person"] == BOB
    everybody = await shown(world.house, NAME)
    assert "person" not in everybody
    assert BOB not in str(everybody)


async def test_unlinking(world: World) -> None:
    await world.link()
    assert (await world.bob.order(NAME, action="unlink")).status_code == 200
    name = await shown(world.house, NAME)
    assert (name["level"], name["network"]) == ("claimed", None)
    assert "text:network.dm3.profile" not in name["records"]
    await world.paper.write(BOB, world.native.name, "again", "n4")
    (received,) = await mail_of(world.native)
    assert (received.sender, received.verified) == (GIVEN, True)


async def test_another_owner_does_not_inherit_the_link(world: World) -> None:
    await world.link()
    other = Wallet(world.house, secrets.token_bytes(32))
    assert (await world.bob.order(NAME, action="transfer", to=other.shown)).status_code == 200
    assert (await shown(world.house, NAME))["level"] == "claimed"
    identity = await world.house.gateway.store.read(IdentityNamed(GIVEN))
    assert identity is not None
    assert (identity.level, identity.owned_name) == ("bridged", None)


async def test_an_address_that_changes_ends_the_link(world: World) -> None:
    """Clients check the profile against the name's address, so it would be believed no more."""
    await world.link()
    await world.bob.order(NAME, action="records", records={"addr": "0x" + "11" * 20})
    name = await shown(world.house, NAME)
    assert name["level"] == "claimed"
    assert "text:network.dm3.profile" not in name["records"]


async def test_bridged_people_reach_the_name_and_get_their_receipts(world: World) -> None:
    await world.link()
    await world.paper.write("cy@example.org", NAME, "from paper to paper", "c1")
    await until(lambda: _first(world.mail()))
    assert [(each.recipient, each.sender) for each in world.mail()] == [(BOB, "cy.example.org.paper.gw.eth")]

    async def reported() -> bool | None:
        states = {(each.native_id, each.state) for each in world.paper.reports}
        return ("c1", DeliveryState.DELIVERED) in states or None

    await until(reported)


async def test_mail_is_sent_after_a_name_that_moved(world: World, tmp_path: Path) -> None:
    await world.link()
    await world.native.send(NAME, "before")
    await until(lambda: _first(world.mail()))
    async with running_house(tmp_path / "other", chain=world.house.chain, parent=EnsName("other.eth")) as other:
        moved = Dm3Client(
            name=NAME,
            wallet=world.bob.key,
            profiles=other.profiles,
            http=other.http,
            service=other.gateway.service_name,
        )
        assert moved.address == address_of(world.bob.key)
        profile = data_uri(moved.signed_profile().to_text())
        answer = await world.bob.order(NAME, action="records", records={"text:network.dm3.profile": profile})
        assert answer.status_code == 200, answer.text
        assert answer.json()["level"] == "moved"
        sent = await world.native.send(NAME, "after")
        assert sent.service == world.house.gateway.service_name, "the sender does not know yet"
        (received,) = await mail_of(moved)
        assert received.sender == GIVEN
        assert received.verified
        assert "native.eth wrote to you" in (received.message.text or "")
        assert "after" in (received.message.text or "")
        assert [each.text for each in world.mail()] == ["before"], "and not to where it was"
        await world.paper.write(BOB, world.native.name, "still here", "n5")
        (own,) = await mail_of(world.native)
        assert own.sender == GIVEN
        # Nobody's letter-box any more when the time is over.
        clock = world.house.gateway.directory._clock
        world.house.gateway.directory._clock = lambda: clock() + 31 * 24 * 3600 * 1000
        assert await world.house.gateway.directory.moved(NAME) is None


async def test_a_profile_that_leads_back_here_does_not_go_round(world: World) -> None:
    """Its own linked profile, published by hand after it moved away: the second time the message stays."""
    await world.link()
    linked = (await shown(world.house, NAME))["records"]["text:network.dm3.profile"]
    away = Dm3Client(
        name=NAME,
        wallet=world.bob.key,
        profiles=world.house.profiles,
        http=world.house.http,
        service=EnsName("ds.elsewhere.eth"),
    )
    key = "text:network.dm3.profile"
    await world.bob.order(NAME, action="records", records={key: data_uri(away.signed_profile().to_text())})
    await world.bob.order(NAME, action="records", records={key: linked})
    await world.native.send(NAME, "round and round")
    row = await world.house.gateway.store.read(NameNamed(NAME))
    assert row is not None

    async def gone() -> bool | None:
        return True if not await world.house.gateway.store.read(QueueList(JobState.READY, 10)) else None

    await until(gone)
    assert world.mail() == []


async def _first(found: list[Any]) -> Any | None:
    await asyncio.sleep(0)
    return found[0] if found else None
