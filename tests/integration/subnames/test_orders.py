"""What owners order by a typed signature: records, transfer, release, renewal, directory; and what replay gains."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dm3.eth import address_bytes
from gateway.ids import EnsName
from tests.integration.subnames.wallets import Wallet, detail, shown, text_of
from tests.support.house import House

NAME = "robert.gw.eth"


@pytest.fixture
async def owned(bob: Wallet) -> str:
    assert (await bob.claim(NAME)).status_code == 201
    return NAME


async def test_records_that_were_signed_resolve(house: House, bob: Wallet, owned: str) -> None:
    records = {
        "text:url": "https://example.org/ü",
        "coin:0": "0x76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
        "contenthash": "0xe3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f",
    }
    answer = await bob.order(owned, action="records", records=records)
    assert answer.status_code == 200, answer.text
    assert answer.json()["records"].items() >= records.items()
    assert await text_of(house, owned, "url") == records["text:url"]
    assert await house.ens.addr(EnsName(owned), 0) == bytes.fromhex(records["coin:0"][2:])
    assert (await bob.order(owned, action="records", records={"text:url": ""})).status_code == 200
    assert "text:url" not in (await shown(house, owned))["records"]


@pytest.mark.attack(8)
async def test_an_order_works_once(house: House, bob: Wallet, owned: str) -> None:
    order = await bob.prepared(owned, action="records", records={"text:url": "https://first"})
    path = f"/names/{owned}/orders"
    assert (await bob.post(path, order)).status_code == 200
    assert (await bob.order(owned, action="records", records={"text:url": "https://second"})).status_code == 200
    assert "changed in the meantime" in (await bob.post(path, order)).json()["error"]
    assert (await shown(house, owned))["records"]["text:url"] == "https://second"


@pytest.mark.attack(8)
async def test_an_order_of_before_does_not_outlive_release_and_another_claim(bob: Wallet, owned: str) -> None:
    kept = await bob.prepared(owned, action="records", records={"text:url": "https://old"})
    assert (await bob.order(owned, action="release")).status_code == 200
    assert (await bob.claim(owned)).status_code == 201
    assert (await bob.post(f"/names/{owned}/orders", kept)).status_code == 409


@pytest.mark.attack(8)
@pytest.mark.parametrize(
    "change",
    [
        {"nonce": 1},
        {"expires": 4_000_000_000},
        {"expires": 1},
        {"records": {"text:url": "https://evil"}},
        {"action": "release", "records": None},
        {"action": "list", "records": None, "listed": True},
    ],
)
async def test_what_was_not_signed_is_not_done(house: House, bob: Wallet, owned: str, change: dict[str, Any]) -> None:
    before = await shown(house, owned)
    signed = await bob.prepared(owned, action="records", records={"text:url": "https://x"})
    order = {key: value for key, value in (signed["order"] | change).items() if value is not None}
    answer = await bob.post(f"/names/{owned}/orders", signed | {"order": order})
    assert answer.status_code in (403, 409), answer.text
    assert await shown(house, owned) == before


@pytest.mark.attack(8)
async def test_orders_are_for_one_name_and_by_its_owner(house: House, bob: Wallet, mallory: Wallet, owned: str) -> None:
    assert (await bob.claim("another.gw.eth")).status_code == 201
    signed = await bob.prepared("another.gw.eth", action="release")
    assert "not signed by the owner" in detail(await bob.post(f"/names/{owned}/orders", signed), 403)
    theirs = await mallory.prepared(owned, action="transfer", to=mallory.shown)
    assert "not signed by the owner" in detail(await mallory.post(f"/names/{owned}/orders", theirs), 403)
    assert (await shown(house, owned))["owner"] == bob.shown


async def test_a_transfer(house: House, bob: Wallet, mallory: Wallet, owned: str) -> None:
    await bob.order(owned, action="records", records={"text:url": "https://x", "coin:2147492101": "0x" + "ab" * 20})
    await bob.order(owned, action="list", listed=True)
    kept = await bob.prepared(owned, action="release")
    answer = await bob.order(owned, action="transfer", to=mallory.shown)
    assert answer.status_code == 200
    name = await shown(house, owned)
    assert (name["owner"], name["listed"]) == (mallory.shown, False)
    assert await house.ens.address(EnsName(owned)) == mallory.address
    assert await house.ens.addr(EnsName(owned), 0x80000000) == address_bytes(mallory.address)
    assert name["records"]["text:url"] == "https://x"
    assert name["records"]["coin:2147492101"] == "0x" + "ab" * 20, "an address that was not the owner's stays"
    assert (await bob.post(f"/names/{owned}/orders", kept)).status_code == 409
    assert (await mallory.order(owned, action="release")).status_code == 200


async def test_a_released_name_rests(house: House, bob: Wallet, mallory: Wallet, owned: str) -> None:
    assert (await bob.order(owned, action="release")).status_code == 200
    assert (await bob.get(f"/names/{owned}")).status_code == 404
    assert await house.ens.address(EnsName(owned)) is None
    answer = await mallory.post("/claims/message", {"name": owned, "address": mallory.shown})
    assert "rests" in detail(answer, 409)
    assert (await mallory.get("/names/robert/availability")).json()["available"] is False
    assert (await bob.get(f"/names/robert/availability?address={bob.shown}")).json()["available"] is True
    assert (await bob.claim(owned)).status_code == 201, "its last owner may have it back at once"


async def test_the_directory_is_for_those_who_want_it(bob: Wallet, owned: str) -> None:
    assert (await bob.get("/names")).json() == {"names": [], "next": None}
    await bob.order(owned, action="list", listed=True)
    assert [each["name"] for each in (await bob.get("/names?search=ROB")).json()["names"]] == [owned]
    assert (await bob.get("/names?search=zzz")).json()["names"] == []
    await bob.order(owned, action="list", listed=False)
    assert (await bob.get("/names")).json()["names"] == []


async def test_the_history_tells_who_did_what(bob: Wallet, owned: str) -> None:
    await bob.order(owned, action="records", records={"text:url": "https://secret.example"})
    entries = (await bob.get(f"/names/{owned}/history")).json()["entries"]
    assert [each["action"] for each in entries] == ["name.changed", "name.claimed"]
    assert entries[0]["actor"] == bob.address
    assert entries[0]["detail"] == {"records": ["text:url"]}


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"action": "steal"}, "action"),
        ({"action": "records"}, "records"),
        ({"action": "records", "records": {}}, "records"),
        ({"action": "records", "records": {"coin:60": "0x00"}}, "coin type 60 is written addr"),
        ({"action": "records", "records": {"text:x": "a\u0000"}}, "NUL"),
        ({"action": "records", "records": {"text:network.dm3.profile": "data:,{}"}}, "profile"),
        ({"action": "transfer"}, "to must be"),
        ({"action": "transfer", "to": "0x" + "0" * 40}, "zero address"),
        ({"action": "list"}, "listed"),
        ({"action": "records", "records": {"text:url": "x"}, "surprise": 1}, "surprise"),
    ],
)
async def test_orders_that_cannot_be(bob: Wallet, owned: str, order: dict[str, Any], told: str) -> None:
    assert told in detail(await bob.post(f"/names/{owned}/orders/prepare", order), 400)


async def test_help_for_the_primary_name(bob: Wallet, owned: str) -> None:
    found = (await bob.get(f"/names/{owned}/primary")).json()
    assert (found["from"], found["function"], found["arguments"]) == (bob.shown, "setName(string)", [owned])
    assert found["calldata"].startswith("0xc47f0027")
    assert [step["works"] for step in found["steps"]] == [True, True]
    await bob.order(owned, action="records", records={"addr": "0x" + "11" * 20})
    assert (await bob.get(f"/names/{owned}/primary")).json()["steps"][0]["works"] is False
