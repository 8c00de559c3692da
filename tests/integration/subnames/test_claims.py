"""Claiming a name with a wallet, over real HTTP, until it resolves through the chain."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from gateway.dm3.eth import address_bytes, sign_text
from gateway.ids import EnsName
from gateway.store.audit import LatestEntries
from gateway.store.names import PutName
from tests.integration.store.values import name_row
from tests.integration.subnames.wallets import Wallet, detail, shown
from tests.support.house import House

NAME = "robert.gw.eth"


async def test_a_claimed_name_resolves_through_the_chain(house: House, bob: Wallet) -> None:
    answer = await bob.claim(NAME)
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"]["owner"] == bob.shown
    assert await house.ens.address(EnsName(NAME)) == bob.address
    assert await house.ens.addr(EnsName(NAME), 0x80000000 | 8453) == address_bytes(bob.address), "every EVM chain's"
    assert (await shown(house, NAME))["level"] == "claimed"
    (logged,) = await house.gateway.store.read(LatestEntries(EnsName(NAME), 9))
    assert (logged.entry.actor, logged.entry.action) == (bob.address, "name.claimed")


async def test_the_claim_signs_in(bob: Wallet) -> None:
    await bob.claim(NAME)
    answer = (await bob.get("/wallet/names", session=True)).json()
    assert answer["address"] == bob.shown
    assert [each["name"] for each in answer["names"]] == [NAME]


async def test_what_one_has_below_a_parent_that_was_given_up_does_not_hide_the_rest(house: House, bob: Wallet) -> None:
    await house.gateway.store.commit(PutName(name_row("bob.gone.eth", owner=bob.address)))
    await bob.claim(NAME)
    answer = await bob.get("/wallet/names", session=True)
    assert answer.status_code == 200, answer.text
    assert [each["name"] for each in answer.json()["names"]] == [NAME]


async def test_the_text_says_what_it_is_for(house: House, bob: Wallet) -> None:
    lines = (await bob.claim_text(NAME)).splitlines()
    host = house.url.removeprefix("http://")
    assert lines[0] == f"{host} wants you to sign in with your Ethereum account:"
    assert lines[1] == bob.shown
    assert f"Claim the name {NAME} for this address." in lines
    assert f"URI: {house.url}" in lines
    assert f"Chain ID: {house.chain.chain_id}" in lines


@pytest.mark.attack(7)
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("{host} wants", "evil.example wants"),
        ("URI: http", "URI: https"),
        ("Chain ID: {chain}", "Chain ID: 1"),
        ("Claim the name robert.gw.eth", "Claim the name roberta.gw.eth"),
        ("Claim the name robert.gw.eth for this address.", "Sign in to manage my names."),
        ("Nonce: ", "Nonce: 0"),
        ("Issued At: 2", "Issued At: 1"),
        ("Issued At: 20", "Issued At: 21"),
        ("Expiration Time: 20", "Expiration Time: 19"),
        ("Version: 1", "Version: 2"),
    ],
)
async def test_a_text_for_something_else_is_refused(house: House, bob: Wallet, was: str, becomes: str) -> None:
    """Every field of the text binds: signed by the right wallet, but for another site, chain, name or time."""
    facts = {"host": house.url.removeprefix("http://"), "chain": house.chain.chain_id}
    message = await bob.claim_text(NAME)
    changed = message.replace(was.format(**facts), becomes)
    assert changed != message
    answer = await bob.post("/claims", bob.signed(NAME, changed))
    assert answer.status_code in (400, 403), answer.text
    assert (await bob.get(f"/names/{NAME}")).status_code == 404


@pytest.mark.attack(7)
async def test_a_text_works_once_and_for_its_own_wallet(bob: Wallet, mallory: Wallet) -> None:
    message = await bob.claim_text(NAME)
    stolen = {"name": NAME, "message": message, "signature": sign_text(mallory.key, message)}
    assert "not signed by" in detail(await mallory.post("/claims", stolen), 403)
    assert (await bob.post("/claims", bob.signed(NAME, message))).status_code == 201
    assert (await bob.order(NAME, action="release")).status_code == 200
    assert "used before" in detail(await bob.post("/claims", bob.signed(NAME, message)), 403)


async def test_of_many_who_claim_at_once_one_gets_it(house: House) -> None:
    wallets = [Wallet(house, bytes((number + 1,)) * 32) for number in range(8)]
    messages = [await wallet.claim_text(NAME) for wallet in wallets]
    claims = (
        wallet.post("/claims", wallet.signed(NAME, message)) for wallet, message in zip(wallets, messages, strict=True)
    )
    answers = await asyncio.gather(*claims)
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    assert (await shown(house, NAME))["owner"] in {wallet.shown for wallet in wallets}


@pytest.mark.attack(19)
async def test_of_look_alikes_that_are_claimed_at_once_one_is_given_out(house: House, bob: Wallet) -> None:
    wanted = [f"{label}.gw.eth" for label in ("paypal", "paypa1", "páypal", "paypál")]
    messages = [await bob.claim_text(name) for name in wanted]
    claims = (bob.post("/claims", bob.signed(*each)) for each in zip(wanted, messages, strict=True))
    answers = await asyncio.gather(*claims)
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    assert all("can be taken for" in answer.text for answer in answers if answer.status_code == 403)


@pytest.mark.attack(19)
@pytest.mark.parametrize(
    ("label", "status", "reason"),
    [
        ("ab", 403, "at least 3"),
        ("a" * 64, 403, "63"),
        ("admin", 403, "reserved"),
        ("adrnin", 403, "looks like admin"),
        ("matrix", 403, "reserved"),
        ("rnatrix", 403, "looks like matrix"),
        ("emai1", 403, "looks like email"),
        ("faß", 403, "older clients"),
        ("Robert", 400, "write"),
        ("rob ert", 400, ""),
        ("a..b", 400, ""),
        ("two.labels", 403, "directly below"),
        ("ab--cd", 400, ""),
        ("аррӏе", 400, ""),
        ("ap\u200dple", 400, ""),
        ("rob\u0000ert", 400, ""),
    ],
)
async def test_labels_that_are_not_given_out(bob: Wallet, label: str, status: int, reason: str) -> None:
    answer = await bob.post("/claims/message", {"name": f"{label}.gw.eth", "address": bob.shown})
    assert reason in detail(answer, status)
    found = await bob.get(f"/names/{quote(label)}/availability")
    assert found.status_code == 400 or found.json()["available"] is False


@pytest.mark.attack(20)
@pytest.mark.parametrize("zone", ["matrix", "xmpp", "email", "ds", "www"])
async def test_nobody_claims_a_name_of_a_network(bob: Wallet, zone: str) -> None:
    """Names of bridged people are below their network's zone; what is claimed is one label beside it."""
    for name in (f"{zone}.gw.eth", f"bob.example.org.{zone}.gw.eth", f"bob.{zone}.gw.eth"):
        answer = await bob.post("/claims/message", {"name": name, "address": bob.shown})
        assert answer.status_code == 403, name


@pytest.mark.attack(19)
async def test_what_can_be_taken_for_a_name_in_use(bob: Wallet, mallory: Wallet) -> None:
    assert (await bob.claim("paypal.gw.eth")).status_code == 201
    for label in ("paypa1", "páypal"):
        answer = await mallory.post("/claims/message", {"name": f"{label}.gw.eth", "address": mallory.shown})
        assert "can be taken for paypal.gw.eth" in detail(answer, 403)
    assert (await bob.claim("mike.gw.eth")).status_code == 201
    found = (await mallory.get("/names/rnike/availability")).json()
    assert found["available"] is True
    assert found["resembles"] == ["mike.gw.eth"]
    assert any("rn" in warning for warning in found["warnings"])


async def test_names_beyond_ascii(house: House, bob: Wallet) -> None:
    name = "jörg.gw.eth"
    message = await bob.claim_text(name)
    assert "Claim the name xn--jrg-sna.gw.eth for this address." in message
    assert (await bob.post("/claims", bob.signed(name, message))).status_code == 201
    assert await house.ens.address(EnsName(name)) == bob.address
    assert (await shown(house, name))["ascii"] == "xn--jrg-sna.gw.eth"


async def test_one_address_has_so_many_names_and_no_more(bob: Wallet) -> None:
    for number in range(5):
        assert (await bob.claim(f"name{number}.gw.eth")).status_code == 201
    assert "at most 5 names" in detail(await bob.claim("onemore.gw.eth"), 403)


async def test_other_parents_are_not_ours(bob: Wallet) -> None:
    answer = await bob.post("/claims/message", {"name": "bob.eth", "address": bob.shown})
    assert answer.status_code == 404


async def test_bodies_that_are_none(house: House, bob: Wallet) -> None:
    bodies: list[Any] = [[], {}, {"name": NAME}, {"name": NAME, "address": "0x1"}, {"name": 1, "address": bob.shown}]
    for body in bodies:
        assert detail(await bob.post("/claims/message", body), 400), body
    for raw in (b"", b"{", b"\xff", b'{"a":' * 100):
        answer = await house.http.post(f"{house.url}/api/v1/claims", content=raw)
        assert answer.status_code == 400


async def test_a_name_that_is_too_long(bob: Wallet) -> None:
    answer = await bob.post("/claims/message", {"name": "x" * 300 + ".gw.eth", "address": bob.shown})
    assert answer.status_code == 400


async def test_a_name_that_nobody_has(house: House, bob: Wallet) -> None:
    assert (await bob.get(f"/names/{NAME}")).status_code == 404
    assert await house.ens.address(EnsName(NAME)) is None
    found = (await bob.get("/names/robert/availability")).json()
    assert (found["available"], found["reason"], found["name"]) == (True, None, NAME)
