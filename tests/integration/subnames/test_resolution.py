"""What the interface says about whether a name resolves, with a real chain that leads here, elsewhere, or nowhere."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.dm3.eth import checksum, parse_address
from gateway.ids import EnsName, EthAddress
from tests.integration.subnames.wallets import Wallet, detail
from tests.support.house import House, running_house

NAME = "robert.gw.eth"


async def resolution(wallet: Wallet, name: str = NAME) -> dict[str, Any]:
    answer = await wallet.get(f"/names/{name}/resolution")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_claimed_name_resolves_from_the_first_moment(house: House, bob: Wallet) -> None:
    assert (await bob.claim(NAME)).status_code == 201
    found = await resolution(bob)
    took = found.pop("took_ms")
    assert 0 < took < 10_000
    assert found == {
        "name": NAME,
        "resolves": True,
        "resolver": checksum(parse_address(house.settings.ens.resolver_addresses[0])),
        "address": bob.shown,
        "chain_id": house.chain.chain_id,
        "reason": None,
        "advice": None,
    }


async def test_a_name_without_an_address(bob: Wallet) -> None:
    assert (await bob.claim(NAME)).status_code == 201
    assert (await bob.order(NAME, action="records", records={"addr": ""})).status_code == 200
    assert (await resolution(bob))["resolves"] is True, "by that of every EVM chain"
    assert (await bob.order(NAME, action="records", records={"coin:2147483648": ""})).status_code == 200
    found = await resolution(bob)
    assert (found["resolves"], found["reason"]) == (False, "the name has no address record")


async def test_what_is_not_looked_up(bob: Wallet) -> None:
    assert "nobody has" in detail(await bob.get(f"/names/{NAME}/resolution"), 404)
    assert "not below a name" in detail(await bob.get("/names/vitalik.eth/resolution"), 404)
    assert "write the name as" in detail(await bob.get("/names/ROBERT.gw.eth/resolution"), 400)


async def test_a_parent_that_leads_nowhere_or_elsewhere(house: House, bob: Wallet) -> None:
    assert (await bob.claim(NAME)).status_code == 201
    ens, resolver = house.chain.ens, EthAddress(house.settings.ens.resolver_addresses[0])
    await asyncio.to_thread(ens.set_urls, resolver, ("http://127.0.0.1:9/{sender}/{data}.json",))
    dead = await resolution(bob)
    assert dead["resolver"].lower() == resolver.lower()
    assert "gave no answer that the contract accepts" in dead["reason"]
    assert house.url in dead["advice"]
    await asyncio.to_thread(ens.set_urls, resolver, ("https://127.0.0.1.nip.invalid/{sender}/{data}.json",))
    assert (await resolution(bob))["resolves"] is False
    await asyncio.to_thread(ens.set_resolver, EnsName("gw.eth"), EthAddress("0x" + "00" * 20))
    nowhere = await resolution(bob)
    assert (nowhere["resolver"], nowhere["resolves"]) == (None, False)
    assert "no resolver is set" in nowhere["reason"]


async def test_a_chain_that_is_away(house: House, bob: Wallet, tmp_path: Any) -> None:
    nowhere = {"DM3_GATEWAY__CHAIN__RPC_URLS": '["http://127.0.0.1:9"]', "DM3_GATEWAY__SUBNAMES__POLICY": "open"}
    async with running_house(tmp_path / "blind", chain=house.chain, overrides=nowhere, working=False) as blind:
        seeing = Wallet(blind, bob.key)
        assert (await seeing.claim(NAME)).status_code == 201
        found = await resolution(seeing)
        assert "Ethereum node" in found["reason"]
        assert "Nothing is lost" in found["advice"]


async def test_it_is_asked_so_often_and_no_more(bob: Wallet) -> None:
    answers = [await bob.get(f"/names/{NAME}/resolution") for _ in range(61)]
    assert [each.status_code for each in answers] == [404] * 60 + [429]
