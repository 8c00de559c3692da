"""What recipients decide about their senders: lists, quotas, and what of it others can read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from gateway.relay import rulebook, sessions
from tests.integration.relay.clients import Api, logged_in, offer, submit
from tests.integration.relay.envelopes import keys_of, sealed, with_another_signer
from tests.support.house import House, another_node, rpc, running_house
from tests.support.waiting import until

QUOTA = "DM3_GATEWAY__RELAY__"


@pytest.fixture
async def api(house: House, bob: Dm3Client) -> Api:
    return await logged_in(house, bob, "bob")


@asynccontextmanager
async def house_with(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """A gateway whose relay has these settings."""
    overrides = {QUOTA + key.upper(): json.dumps(value) for key, value in settings.items()}
    async with running_house(folder, working=False, overrides=overrides) as running:
        yield running


async def refusal(house: House, sender: Dm3Client, recipient: Dm3Client, account: str = "alice") -> tuple[int, int]:
    """Status and code with which a new envelope is refused."""
    answer = await offer(house, sealed(house, sender, recipient, account=account))
    error: dict[str, Any] = answer.json()["error"]
    return answer.status_code, error["code"]


# --- lists ----------------------------------------------------------------------------------------------------------


async def test_a_blocked_sender_is_refused_and_others_are_not(
    house: House, alice: Dm3Client, bob: Dm3Client, api: Api
) -> None:
    carol = await house.native("carol.eth", "carol")
    await api.set_rules(block=["ALICE.eth"])
    assert await refusal(house, alice, bob) == (403, -32010)
    await submit(house, carol, bob, account="carol")
    await api.set_rules()
    await submit(house, alice, bob)
    assert len(await bob.fetch()) == 2


async def test_the_lists_are_nobody_else_s_business(house: House, alice: Dm3Client, bob: Dm3Client, api: Api) -> None:
    await api.set_rules(block=["alice.eth"], allow=["carol.eth"], minNonce=3, minBalance="10", messageRequests=True)
    extension = (await rpc(house, "dm3_getProfileExtension", bob.name)).json()["result"]
    assert json.loads(extension)["spamFilterRules"] == {"minNonce": 3, "minBalance": "10", "messageRequests": True}
    assert "alice" not in extension
    assert "carol" not in extension
    assert "alice" not in (await offer(house, sealed(house, alice, bob))).json()["error"]["message"]


@pytest.mark.weakness(10)
async def test_rules_are_changed_by_their_owner_and_stay(
    house: House, alice: Dm3Client, bob: Dm3Client, api: Api
) -> None:
    """Publishing the profile again wipes nothing."""
    rules = {"minNonce": 1, "minTokenBalance": {"address": "0x" + "12" * 20, "amount": "5"}, "block": ["eve.eth"]}
    await api.set_rules(**rules)
    published = bob.signed_profile().to_json()
    assert (await house.http.post(f"{house.url}/ds/profile/{bob.name}", json=published)).status_code == 200
    assert (await api.get("account/rules")).json() == rules
    other = await logged_in(house, alice, "alice")
    assert (await other.get("account/rules")).json() == {}


async def test_rules_that_are_none(api: Api, subtests: pytest.Subtests) -> None:
    await api.set_rules(minNonce=1)
    wrong: list[Any] = [
        None,
        [],
        {"unknown": 1},
        {"minNonce": -1},
        {"minNonce": "1"},
        {"minNonce": True},
        {"minBalance": "0x10"},
        {"minBalance": "-1"},
        {"minBalance": str(2**256)},
        {"minTokenBalance": {"address": "0x12", "amount": "1"}},
        {"minTokenBalance": {"amount": "1"}},
        {"ownsToken": [{"standard": "ERC1155", "address": "0x" + "12" * 20}]},
        {"ownsToken": [{"standard": "ERC20", "address": "0x" + "12" * 20}]},
        {"ownsToken": [{}] * 9},
        {"allow": ["no name"]},
        {"allow": [1]},
        {"allow": ["a.eth"] * 1001},
        {"allow": ["a.eth"], "block": ["a.eth"]},
        {"messageRequests": "yes"},
        {"maxWaitingPerSender": -1},
    ]
    for rules in wrong:
        with subtests.test(rules=repr(rules)[:60]):
            answer = await api.put("account/rules", rules)
            assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert (await api.get("account/rules")).json() == {"minNonce": 1}


async def test_many_changes_at_once_lose_none(house: House, bob: Dm3Client, api: Api) -> None:
    names = [EnsName(f"stranger{number}.eth") for number in range(8)]
    answers = await asyncio.gather(*(api.post(f"mailbox/requests/{name}", {"action": "accept"}) for name in names))
    assert {answer.status_code for answer in answers} == {200}
    assert (await api.get("account/rules")).json()["allow"] == sorted(names)


async def test_a_change_at_one_node_is_in_force_at_the_other(
    tmp_path: Path, postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rulebook, "REMEMBERED_SECONDS", 0.2)
    async with (
        running_house(tmp_path / "house", store_url=postgres_store_url, working=False) as one,
        another_node(one, working=False) as two,
    ):
        alice, bob = await one.native("alice.eth", "alice"), await one.native("bob.eth", "bob")
        await submit(two, alice, bob)
        await (await logged_in(one, bob, "bob")).set_rules(block=["alice.eth"])

        async def look() -> bool | None:
            return (await offer(two, sealed(two, alice, bob))).status_code == 403 or None

        await until(look)


# --- verified senders -----------------------------------------------------------------------------------------------


@pytest.mark.attack(36)
@pytest.mark.weakness(2)
async def test_a_claimed_name_meets_no_rule(tmp_path: Path) -> None:
    """Where unverified mail is taken at all, an allowed name must still be proved to be let in."""
    async with house_with(tmp_path / "house", require_verified_sender=False) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        api = await logged_in(house, bob, "bob")
        await api.set_rules(minNonce=1, allow=["alice.eth"])
        forged = sealed(house, alice, bob, signing=with_another_signer(keys_of(house, "alice")).signing)
        answer = await offer(house, forged)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, -32010)
        await submit(house, alice, bob)
        assert len(await bob.fetch()) == 1
        await api.set_rules()
        assert (await offer(house, forged)).status_code == 200
        assert sorted(each["verified"] for each in await api.mailbox()) == [False, True]


# --- quotas ---------------------------------------------------------------------------------------------------------


@pytest.mark.attack(35)
@pytest.mark.weakness(3)
async def test_one_sender_cannot_fill_a_mailbox(tmp_path: Path) -> None:
    async with house_with(tmp_path / "house", sender_messages=5) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        carol = await house.native("carol.eth", "carol")
        await submit(house, carol, bob, "first", account="carol")
        flood = await asyncio.gather(*(offer(house, sealed(house, alice, bob, text=str(n))) for n in range(20)))
        accepted = [answer for answer in flood if answer.status_code == 200]
        assert len(accepted) == 5
        assert {answer.json()["error"]["code"] for answer in flood if answer not in accepted} == {-32005}
        assert {answer.status_code for answer in flood} == {200, 429}
        await submit(house, carol, bob, "last", account="carol")
        received = await bob.fetch()
        assert [received[0].message.text, received[-1].message.text] == ["first", "last"]
        assert len(received) == 7
        await bob.acknowledge(*(each for each in received if each.sender == "alice.eth"))
        await submit(house, alice, bob, "room again")


@pytest.mark.attack(35)
@pytest.mark.weakness(3)
async def test_many_names_of_one_owner_are_one_sender(tmp_path: Path) -> None:
    """Names cost nothing; the quota is of the address behind them."""
    async with house_with(tmp_path / "house", sender_messages=2) as house:
        bob = await house.native("bob.eth", "bob")
        names = [await house.native(f"alias{number}.eth", "mallory") for number in range(3)]
        for name in names[:2]:
            await submit(house, name, bob, account="mallory")
        assert await refusal(house, names[2], bob, "mallory") == (429, -32005)


@pytest.mark.attack(35)
async def test_a_full_mailbox_keeps_what_it_has(tmp_path: Path) -> None:
    async with house_with(tmp_path / "house", mailbox_messages=4, require_verified_sender=False) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        stranger = with_another_signer(keys_of(house, "alice")).signing
        unverified = [sealed(house, alice, bob, text=f"?{n}", signing=stranger) for n in range(4)]
        statuses = [(await offer(house, each)).status_code for each in unverified]
        assert statuses == [200, 200, 429, 429], "half of a mailbox is kept for those who prove who they are"
        repeat = await submit(house, alice, bob, "1")
        await submit(house, alice, bob, "2")
        assert await refusal(house, alice, bob) == (429, -32005)
        assert (await offer(house, repeat)).status_code == 200, "what is here already is answered like the first time"
        api = await logged_in(house, bob, "bob")
        assert len(await api.mailbox()) == 4


async def test_bytes_are_counted_too(tmp_path: Path) -> None:
    async with house_with(tmp_path / "house", sender_bytes=20_000) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        await submit(house, alice, bob, "x" * 2_000)
        assert (await offer(house, sealed(house, alice, bob, text="x" * 20_000))).status_code == 429
        await submit(house, alice, bob, "short")


async def test_a_recipient_can_ask_for_less(house: House, alice: Dm3Client, bob: Dm3Client, api: Api) -> None:
    await api.set_rules(maxWaitingPerSender=1)
    await submit(house, alice, bob, "1")
    assert await refusal(house, alice, bob) == (429, -32005)
    await bob.acknowledge(*await bob.fetch())
    await submit(house, alice, bob, "2")


@pytest.mark.weakness(3)
async def test_invented_names_of_a_mailbox_hide_no_mail(
    house: House, alice: Dm3Client, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can point names at somebody's address; mail to those never crowds out the owner's."""
    monkeypatch.setattr(sessions, "MAX_NAMES", 2)
    await submit(house, alice, bob, "real")
    for number in range(3):
        alias = await house.native(f"invented{number}.eth", "bob")
        for _ in range(3):
            await submit(house, alice, alias, "noise")
    api = await logged_in(house, bob, "bob")
    assert any(each["recipient"] == "bob.eth" for each in await api.mailbox())
