"""What a sender learns from a refusal: with the switch on, nothing about who is here and whom they block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.dm3.data_uri import data_uri
from gateway.dm3.envelope import canonical_envelope
from gateway.dm3.keys import signing_pair
from gateway.dm3.user_profile import UserProfile, sign_profile
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from gateway.relay import submit as submit_module
from gateway.relay.recipients import Recipient, Recipients
from gateway.store.accounts import CloseAccount
from tests.integration.relay.clients import put_rules, submit_text, token_of
from tests.integration.relay.envelopes import sealed
from tests.support.house import House, rpc, running_house

UNIFORM = {"DM3_GATEWAY__RELAY__UNIFORM_REFUSALS": "true"}
NOBODY, ELSEWHERE, BLOCKING, CLOSED = (
    EnsName(f"{label}.eth") for label in ("nobody", "elsewhere", "blocking", "closed")
)
REFUSED = (NOBODY, ELSEWHERE, BLOCKING, CLOSED)


@dataclass(frozen=True)
class Town:
    """A house, a sender, somebody who lets the sender in, and those who do not, each for another reason."""

    house: House
    alice: Dm3Client
    bob: Dm3Client


async def settle(folder: Path, overrides: Mapping[str, str]) -> AsyncIterator[Town]:
    async with running_house(folder, working=False, overrides=overrides) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        await house.native(ELSEWHERE, "native", service=EnsName("ds.other.eth"))
        blocking = await house.native(BLOCKING, "carol")
        closed = await house.native(CLOSED, "echo")
        token = await token_of(house, blocking, "carol")
        assert (await put_rules(house, token, {"block": [alice.name]})).status_code == 200
        await house.gateway.store.commit(CloseAccount(closed.address))
        yield Town(house, alice, bob)


@pytest.fixture
async def discreet(tmp_path: Path) -> AsyncIterator[Town]:
    async for town in settle(tmp_path / "house", UNIFORM):
        yield town


@pytest.fixture
async def open_town(tmp_path: Path) -> AsyncIterator[Town]:
    async for town in settle(tmp_path / "house", {}):
        yield town


async def write_to(town: Town, to: EnsName, **changes: Any) -> Any:
    envelope = sealed(town.house, town.alice, town.bob, to=to, **changes)
    return await rpc(town.house, "dm3_submitMessage", canonical_envelope(envelope))


def seen(answer: Any) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that a peer gets."""
    return (
        answer.status_code,
        answer.content,
        sorted((key, value) for key, value in answer.headers.items() if key != "date"),
    )


@pytest.mark.attack(12)
async def test_every_refusal_is_the_same_to_the_byte(discreet: Town) -> None:
    answers = [seen(await write_to(discreet, to)) for to in REFUSED]
    assert answers == [answers[0]] * len(REFUSED)
    status, body, _ = answers[0]
    assert status == 403
    assert b'"code":-32010' in body
    assert (await write_to(discreet, discreet.bob.name)).status_code == 200


async def test_without_the_switch_the_sender_is_told_why(open_town: Town) -> None:
    answers = {to: (await write_to(open_town, to)).json()["error"] for to in REFUSED}
    assert {to: error["code"] for to, error in answers.items()} == {
        NOBODY: -32001,
        ELSEWHERE: -32001,
        BLOCKING: -32010,
        CLOSED: -32001,
    }
    assert len({error["data"]["detail"] for error in answers.values()}) == 4


@pytest.mark.attack(12)
async def test_refusals_come_at_the_same_beat(discreet: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is answered at a multiple of the same time: what was looked up, and where it ended, does not show."""
    beat = 1.0
    monkeypatch.setattr(submit_module, "UNIFORM_SECONDS", beat)

    async def asked(to: EnsName) -> float:
        started = time.monotonic()
        await write_to(discreet, to)
        return time.monotonic() - started

    for to in REFUSED:
        await asked(to)  # names that were never asked for take a look at the chain
    times = {to: [await asked(to) for _ in range(3)] for to in REFUSED}
    # One that a busy machine pushed into the next beat says nothing about the others.
    assert {to: round(min(each) // beat) for to, each in times.items()} == dict.fromkeys(REFUSED, 1)
    accepted = min([await asked(discreet.bob.name) for _ in range(3)])
    assert accepted < beat, "mail that is taken is not held up"


@pytest.mark.attack(12)
async def test_the_time_of_a_look_does_not_show(discreet: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes 0.3 s and none at all end together."""
    monkeypatch.setattr(submit_module, "UNIFORM_SECONDS", 1.0)
    find = Recipients.find

    async def slow(self: Recipients, name: EnsName) -> Recipient:
        if name == NOBODY:
            await asyncio.sleep(0.3)
        return await find(self, name)

    monkeypatch.setattr(Recipients, "find", slow)
    best = {}
    for to in (NOBODY, BLOCKING):
        times = []
        for _ in range(3):
            started = time.monotonic()
            await write_to(discreet, to)
            times.append(time.monotonic() - started)
        best[to] = min(times)
    assert abs(best[NOBODY] - best[BLOCKING]) < 0.2


@pytest.mark.attack(12)
async def test_a_bad_sender_learns_nothing_about_the_recipient(discreet: Town) -> None:
    """Or whoever sends rubbish could ask for everybody without leaving a trace in a mailbox."""
    strangers: dict[str, dict[str, Any]] = {
        "forged": {"signing": signing_pair()},
        "unknown": {"from_": NOBODY},
        "somebody else": {"from_": discreet.bob.name},
    }
    for what, changes in strangers.items():
        answers = [seen(await write_to(discreet, to, **changes)) for to in (*REFUSED, discreet.bob.name)]
        assert answers == [answers[0]] * len(answers), what
        assert b'"code":-32003' in answers[0][1]


@pytest.mark.attack(12)
async def test_the_extension_of_who_is_not_here_is_an_ordinary_one(discreet: Town) -> None:
    answers = [seen(await rpc(discreet.house, "dm3_getProfileExtension", to)) for to in (*REFUSED, discreet.bob.name)]
    assert answers == [answers[0]] * len(answers)
    assert answers[0][0] == 200


async def test_without_the_switch_the_extension_says_who_is_here(open_town: Town) -> None:
    found = {}
    for to in (*REFUSED, open_town.bob.name):
        found[to] = (await rpc(open_town.house, "dm3_getProfileExtension", to)).status_code
    assert found == {NOBODY: 404, ELSEWHERE: 404, CLOSED: 404, BLOCKING: 200, open_town.bob.name: 200}


async def test_what_is_no_name_is_told_as_such(discreet: Town) -> None:
    """It says nothing about anybody."""
    answer = await write_to(discreet, EnsName("no name"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32000)


async def test_a_refused_envelope_may_come_again_when_the_reason_is_gone(discreet: Town) -> None:
    house, alice = discreet.house, discreet.alice
    blocking = house.clients[BLOCKING]
    envelope = canonical_envelope(sealed(house, alice, blocking))
    assert (await rpc(house, "dm3_submitMessage", envelope)).status_code == 403
    assert (await put_rules(house, await token_of(house, blocking, "carol"), {})).status_code == 200
    assert (await rpc(house, "dm3_submitMessage", envelope)).status_code == 200
    assert len(await blocking.fetch()) == 1


async def test_a_sender_with_a_new_key_is_known_with_the_switch_too(discreet: Town) -> None:
    house, alice = discreet.house, discreet.alice
    await submit_text(house, alice, discreet.bob, "with the old key")
    old, keys = alice.signed_profile().profile, signing_pair()
    profile = UserProfile(old.public_encryption_key, keys.public, old.delivery_services)
    signed = sign_profile(profile, house.chain.accounts["alice"].key)
    uri = data_uri(signed.to_text())
    await asyncio.to_thread(house.chain.ens.set_text, alice.name, "network.dm3.profile", uri)
    assert (await write_to(discreet, discreet.bob.name, signing=keys)).status_code == 200
