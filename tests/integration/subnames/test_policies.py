"""To whom names are given: lists, tokens, nobody; wallets that are contracts; chains that lie or change their mind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.chain.accounts import ACCOUNT_BALANCE, accounts
from gateway.demo.chain.running import RunningChain, running_chain
from gateway.dm3.eth import checksum, sign_text
from gateway.dm3.sender_rules import SenderRules, TokenBalance
from gateway.ens.chain import Chain
from gateway.ens.holdings import HoldingLimits, Holdings
from gateway.ens.wallets import Wallets
from gateway.errors import ConfigError, NameRefused
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.store import Store
from gateway.store.migrate import upgrade
from gateway.store.names import NameNamed
from gateway.store.reservations import DropReservation, Hold, PutReservation, Reservation
from gateway.subnames.policy import Admission, Policy
from gateway.subnames.registrar import Registrar
from tests.integration.chain.node import Node, embedded_node, http_node
from tests.integration.ens.rpc import forwarding
from tests.integration.ens.servers import scripted
from tests.integration.ens.tokens import ART, found_tokens
from tests.integration.subnames.conftest import OPEN
from tests.integration.subnames.wallets import Wallet, detail, shown
from tests.support.anvil import running_anvil
from tests.support.contracts import compiled
from tests.support.house import House, running_house

NAME = "robert.gw.eth"
SUBNAMES = "DM3_GATEWAY__SUBNAMES__"


@asynccontextmanager
async def house_with(folder: Path, chain: RunningChain | None = None, **subnames: Any) -> AsyncIterator[House]:
    """A house with these settings of names."""
    overrides = {
        SUBNAMES + key.upper(): value if isinstance(value, str) else json.dumps(value)
        for key, value in subnames.items()
    }
    async with running_house(folder / "house", chain=chain, overrides=overrides) as house:
        yield house


def person(house: House, account: str) -> Wallet:
    """One of the chain's accounts."""
    return Wallet(house, house.chain.accounts[account].key)


async def test_by_default_nobody_claims(tmp_path: Path) -> None:
    async with house_with(tmp_path) as house:
        bob = person(house, "bob")
        assert "by its operator only" in detail(await bob.claim(NAME), 403)
        assert (await bob.get("/names/robert/availability")).json()["policy"] == "closed"


async def test_a_list_of_those_who_may(tmp_path: Path) -> None:
    async with running_chain() as chain:
        alice = chain.accounts["alice"].address
        async with house_with(tmp_path, chain, policy="allow", allow=[checksum(alice)]) as house:
            assert (await person(house, "alice").claim(NAME)).status_code == 201
            told = detail(await person(house, "bob").claim("another.gw.eth"), 403)
            assert told == f"{person(house, 'bob').shown} is not on the list of those who may claim here"


async def test_holders_of_a_token(tmp_path: Path) -> None:
    async with running_chain() as chain:
        tokens = await asyncio.to_thread(found_tokens, embedded_node(chain.core), chain.accounts)
        gate = {"owns_token": [{"standard": "ERC721", "address": tokens.art.address}]}
        async with running_house(tmp_path / "house", chain=chain, overrides=gated(gate)) as house:
            assert (await person(house, "alice").claim(NAME)).status_code == 201
            bob = person(house, "bob")
            assert "needs at least 1 token of the collection" in detail(await bob.claim("another.gw.eth"), 403)
            mint = "mint(address,uint256)"
            await asyncio.to_thread(tokens.art.do, chain.accounts["root"], mint, bob.address, ART + 9)
            assert (await bob.claim("another.gw.eth")).status_code == 201


def gated(gate: Any) -> dict[str, str]:
    """Environment for a policy that asks for holdings; tables are set key by key."""
    found = {f"{SUBNAMES}POLICY": "token"}
    for key, value in gate.items():
        inner = {f"__{part.upper()}": each for part, each in value.items()} if isinstance(value, dict) else {"": value}
        for part, each in inner.items():
            text = each if isinstance(each, str) else json.dumps(each)
            found[f"{SUBNAMES}GATE__{key.upper()}{part}"] = text
    return found


async def test_what_is_asked_for_is_checked_when_the_claim_comes(tmp_path: Path) -> None:
    """And not only when the text was given out."""
    async with running_chain() as chain:
        tokens = await asyncio.to_thread(found_tokens, embedded_node(chain.core), chain.accounts)
        gate = {"min_token_balance": {"address": tokens.coin.address, "amount": 1000}}
        async with running_house(tmp_path / "house", chain=chain, overrides=gated(gate)) as house:
            alice = person(house, "alice")
            message = await alice.claim_text(NAME)
            bob = chain.accounts["bob"].address
            await asyncio.to_thread(tokens.coin.do, chain.accounts["alice"], "transfer(address,uint256)", bob, 1)
            refused = await alice.post("/claims", alice.signed(NAME, message))
            assert "needs at least 1000 smallest units" in detail(refused, 403)
            assert (await alice.get(f"/names/{NAME}")).status_code == 404


async def test_a_wallet_that_is_a_contract(tmp_path: Path) -> None:
    """Claims and orders are signed by its key and checked by the contract (ERC-1271)."""
    async with house_with(tmp_path, policy="open") as house:
        accounts, node = house.chain.accounts, embedded_node(house.chain.core)
        contract = await asyncio.to_thread(
            node.deploy, accounts["alice"], compiled("Wallet"), accounts["alice"].address
        )
        owner = checksum(contract.address)
        alice, mallory = person(house, "alice"), person(house, "mallory")
        asked = await alice.post("/claims/message", {"name": NAME, "address": owner})
        message = asked.json()["message"]
        forged = {"name": NAME, "message": message, "signature": sign_text(mallory.key, message)}
        assert "not signed by" in detail(await mallory.post("/claims", forged), 403)
        assert (await alice.post("/claims", alice.signed(NAME, message))).status_code == 201
        assert (await shown(house, NAME))["owner"] == owner
        assert (await alice.order(NAME, action="records", records={"text:url": "https://x"})).status_code == 200
        refused = await mallory.post(f"/names/{NAME}/orders", await mallory.prepared(NAME, action="release"))
        assert "not signed by the owner" in detail(refused, 403)
        await asyncio.to_thread(contract.do, accounts["alice"], "change(address)", mallory.address)
        assert (await alice.order(NAME, action="release")).status_code == 403, "the contract has another key now"
        assert (await mallory.order(NAME, action="release")).status_code == 200


async def test_a_contract_that_is_none(tmp_path: Path) -> None:
    """Plain addresses, contracts without that function, and ones that revert sign nothing."""
    async with house_with(tmp_path, policy="open") as house:
        alice = person(house, "alice")
        for address in (house.chain.accounts["bob"].address, house.chain.registry, house.chain.universal_resolver):
            asked = await alice.post("/claims/message", {"name": NAME, "address": checksum(address)})
            claim = alice.signed(NAME, asked.json()["message"])
            assert "not signed by" in detail(await alice.post("/claims", claim), 403)


@pytest.mark.attack(38)
async def test_what_a_reorganisation_takes_back_never_gave_a_name(tmp_path: Path) -> None:
    """Holdings count at the block that is final: on a chain that takes a transfer back, nobody has claimed by it."""
    people = accounts()
    with running_anvil(tmp_path, "--slots-in-an-epoch", "1") as url, http_node("anvil", url) as node:
        for each in people.values():
            await asyncio.to_thread(node.rpc, "anvil_setBalance", each.address, hex(ACCOUNT_BALANCE))
        tokens = await asyncio.to_thread(found_tokens, node, people)
        await asyncio.to_thread(_mine, node, 3)
        chain = Chain([url], 31337, timeout=30)
        holdings = Holdings(chain, limits=HoldingLimits(ttl=0, unmet_ttl=0, patience=60))
        gate = SenderRules(min_token_balance=TokenBalance(tokens.coin.address, 100))
        policy = Policy(parent=EnsName("gw.eth"), admission=Admission.TOKEN, gate=gate)
        async with await store_in(tmp_path) as store:
            registrar = Registrar(
                store=store,
                policies={policy.parent: policy},
                wallets=Wallets(chain),
                holdings=holdings,
                chain_id=31337,
                clock=now_ms,
            )
            bob = people["bob"].address
            await asyncio.to_thread(tokens.coin.do, people["alice"], "transfer(address,uint256)", bob, 100)
            with pytest.raises(NameRefused, match="needs at least 100"):
                await registrar.claim(EnsName(NAME), bob)
            await asyncio.to_thread(node.rpc, "anvil_reorg", 1, [])
            for _ in range(4):
                with pytest.raises(NameRefused, match="needs at least 100"):
                    await registrar.claim(EnsName(NAME), bob)
                await asyncio.to_thread(_mine, node, 1)
            await asyncio.to_thread(tokens.coin.do, people["alice"], "transfer(address,uint256)", bob, 100)
            await asyncio.to_thread(_mine, node, 2)
            assert (await registrar.claim(EnsName(NAME), bob)).owner == bob
        await holdings.close()
        await chain.close()


def _mine(node: Node, blocks: int) -> None:
    for _ in range(blocks):
        node.rpc("evm_mine")


async def store_in(folder: Path) -> Store:
    """A fresh database."""
    url = f"sqlite:///{folder / 'names.db'}"
    await asyncio.to_thread(upgrade, url)
    return await Store.open(url)


@pytest.mark.attack(39)
async def test_a_chain_that_lies_gives_no_name(tmp_path: Path) -> None:
    """It says that mallory holds the token: outvoted by two honest ones, and with one of them nobody is believed."""

    def lying(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "eth_call":
            return {"jsonrpc": "2.0", "id": request["id"], "result": "0x" + "00" * 31 + "05"}
        return reply

    def honest(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return reply

    async with running_chain() as chain:
        tokens = await asyncio.to_thread(found_tokens, embedded_node(chain.core), chain.accounts)
        gate = gated({"owns_token": [{"standard": "ERC721", "address": tokens.art.address}]})
        async with (
            scripted(forwarding(chain.url, lying)) as liar,
            scripted(forwarding(chain.url, honest)) as other,
        ):
            for folder, urls, status in (
                ("three", [chain.url, other.url(), liar.url()], 403),
                ("two", [chain.url, liar.url()], 503),
            ):
                chosen = {
                    "DM3_GATEWAY__CHAIN__RPC_URLS": json.dumps(urls),
                    "DM3_GATEWAY__CHAIN__QUORUM": "2",
                }
                async with running_house(
                    tmp_path / folder, chain=chain, parent=EnsName(f"{folder}.eth"), overrides=gate | chosen
                ) as house:
                    answer = await person(house, "mallory").claim(f"mallory.{folder}.eth")
                    assert answer.status_code == status, answer.text


async def test_while_the_chain_is_down_holders_are_asked_to_come_again(tmp_path: Path) -> None:
    async with running_chain() as chain:
        tokens = await asyncio.to_thread(found_tokens, embedded_node(chain.core), chain.accounts)
        gate = gated({"owns_token": [{"standard": "ERC721", "address": tokens.art.address}]})
        down = {"DM3_GATEWAY__CHAIN__RPC_URLS": '["http://127.0.0.1:9"]'}
        async with running_house(tmp_path / "house", chain=chain, overrides=gate | down, working=False) as house:
            assert (await person(house, "alice").claim(NAME)).status_code == 503


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", overrides=OPEN) as running:
        yield running


async def test_names_that_are_kept_back(house: House) -> None:
    alice, bob = person(house, "alice"), person(house, "bob")
    store = house.gateway.store
    for label, kind, holder in (
        ("abc", Hold.RESERVED, alice.address),
        ("ab", Hold.RESERVED, alice.address),
        ("def", Hold.RESERVED, None),
        ("ghi", Hold.BLOCKED, None),
        ("jkl", Hold.BLOCKED, alice.address),
    ):
        await store.commit(PutReservation(Reservation(EnsName(f"{label}.gw.eth"), kind, holder, "", now_ms())))
    assert detail(await bob.claim("abc.gw.eth"), 403) == "this name is reserved"
    assert detail(await alice.claim("def.gw.eth"), 403) == "this name is reserved"
    assert detail(await alice.claim("ghi.gw.eth"), 403) == "this name is not given out"
    assert detail(await alice.claim("jkl.gw.eth"), 403) == "this name is not given out"
    assert (await alice.claim("abc.gw.eth")).status_code == 201
    assert (await alice.claim("ab.gw.eth")).status_code == 201, "shorter than others get it"
    await store.commit(DropReservation(EnsName("def.gw.eth")))
    assert (await bob.claim("def.gw.eth")).status_code == 201


MORE = [
    {"name": "other.eth", "policy": "open", "min_length": 5, "per_owner": 1},
    {"name": "deep.gw.eth", "policy": "closed"},
]


@pytest.mark.attack(49)
async def test_each_parent_has_its_own_rules_and_names(tmp_path: Path) -> None:
    async with house_with(tmp_path, policy="open", parents=MORE) as house:
        bob, alice = person(house, "bob"), person(house, "alice")
        assert (await bob.claim("robert.gw.eth")).status_code == 201
        assert "at least 5" in detail(await bob.claim("abc.other.eth"), 403)
        assert (await alice.claim("robert.other.eth")).status_code == 201, "the same label, somebody else's"
        assert (await alice.claim("paypa1.gw.eth")).status_code == 201
        assert (await bob.claim("paypal.other.eth")).status_code == 201, "look-alikes are of one parent"
        assert "at most 1 names under other.eth" in detail(await bob.claim("second.other.eth"), 403)
        assert "operator only" in detail(await bob.claim("label.deep.gw.eth"), 403)
        await bob.order("robert.gw.eth", action="list", listed=True)
        await alice.order("robert.other.eth", action="list", listed=True)
        for parent, names in (("gw.eth", ["robert.gw.eth"]), ("other.eth", ["robert.other.eth"])):
            found = (await bob.get(f"/names?parent={parent}")).json()["names"]
            assert [each["name"] for each in found] == names
        assert (await bob.get("/names?parent=third.eth")).status_code == 404
        signed = await bob.prepared("robert.gw.eth", action="release")
        moved = await bob.post("/names/robert.other.eth/orders", signed)
        assert moved.status_code == 403, "an order for a name of one parent is none for one of another"
        row = await house.gateway.store.read(NameNamed(EnsName("robert.other.eth")))
        assert row is not None
        assert row.owner == alice.address


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"policy": "sometimes"}, "subnames.policy"),
        ({"policy": "token"}, "subnames.gate"),
        ({"policy": "allow", "allow": ["bob.eth"]}, "subnames.allow"),
        ({"parents": [{"name": "Gw.eth"}]}, "twice"),
        ({"parents": [{"name": "a..b"}]}, "subnames.parents.0.name"),
        ({"parents": [{}]}, "subnames.parents.0.name"),
        ({"term_days": -1}, "subnames.term_days"),
        ({"surprise": 1}, "subnames.surprise"),
    ],
)
async def test_settings_that_cannot_be(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace(".", r"\.")):
        async with house_with(tmp_path, **settings):
            pass
