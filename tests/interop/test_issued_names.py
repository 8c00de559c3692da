"""A name that a wallet claimed, and one of a bridged person, of a whole gateway: all records by four clients."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from ens import AsyncENS  # type: ignore[import-untyped]
from web3 import AsyncHTTPProvider, AsyncWeb3

from gateway.dm3.eth import checksum
from gateway.ids import EnsName, EthAddress
from tests.integration.subnames.wallets import Wallet
from tests.interop.test_ens_clients import SCRIPTS
from tests.interop.test_ens_web3 import HOST_CHECK, _any_host
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.node import JS_FOLDER, NodeScript
from tests.support.waiting import mail_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLAIMED = EnsName("jörg.gw.eth")
BRIDGED = EnsName("bob.example.org.paper.gw.eth")
BASE = 0x80000000 | 8453
SHOP = "0x" + "12" * 20
RECORDS = {
    "text:url": "https://example.org/ü",
    "text:avatar": "ipfs://bafy",
    "coin:0": "0x76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
    f"coin:{BASE}": SHOP,
    "contenthash": "0xe3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f",
    "pubkey": "0x" + "ab" * 32 + "cd" * 32,
    "abi:1": "0x5b5d",
    "interface:0x01ffc9a7": SHOP,
    "data:k": "0x0102",
}
OTHERS: list[dict[str, Any]] = [
    {"signature": "function pubkey(bytes32) view returns (bytes32, bytes32)", "args": []},
    {"signature": "function ABI(bytes32, uint256) view returns (uint256, bytes)", "args": ["3"]},
    {"signature": "function interfaceImplementer(bytes32, bytes4) view returns (address)", "args": ["0x01ffc9a7"]},
    {"signature": "function data(bytes32, string) view returns (bytes)", "args": ["k"]},
]
ZERO = "0x" + "0" * 64


@dataclass
class World:
    """A gateway, and the addresses of two of its people."""

    house: House
    owner: EthAddress
    person: EthAddress

    def told(self, universal: bool) -> dict[str, Any]:
        """What a script needs to know of the chain."""
        chain = self.house.chain
        return {
            "rpcUrl": chain.url,
            "chainId": chain.chain_id,
            "registry": chain.registry,
            "universalResolver": chain.universal_resolver if universal else None,
        }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("house")
    paper = PaperAdapter()
    settings = {"DM3_GATEWAY__SUBNAMES__POLICY": "open"}
    async with running_house(folder, adapters={paper.name: paper}, overrides=settings) as house:
        native = await house.native("native.eth")
        await paper.write("bob@example.org", native.name, "hello", "n1")
        await mail_of(native)
        wallet = Wallet(house, secrets.token_bytes(32))
        assert (await wallet.claim(CLAIMED)).status_code == 201
        assert (await wallet.order(CLAIMED, action="records", records=RECORDS)).status_code == 200
        person = (await house.gateway.directory.user(BRIDGED)).address
        yield World(house, wallet.address, person)


@pytest.mark.parametrize("client", SCRIPTS)
async def test_by_javascript_clients(world: World, client: str) -> None:
    file, universal = SCRIPTS[client]
    script = NodeScript(JS_FOLDER / "ens" / file)

    async def ask(op: str, name: EnsName, **arguments: Any) -> Any:
        return await asyncio.to_thread(script.call, op, name=name, **arguments)

    try:
        await asyncio.to_thread(script.call, "open", **world.told(universal))
        assert await ask("addr", CLAIMED) == checksum(world.owner)
        assert (await ask("coin", CLAIMED, coin=0)).lower() == RECORDS["coin:0"]
        assert (await ask("coin", CLAIMED, coin=BASE)).lower() == SHOP
        assert (await ask("coin", CLAIMED, coin=0x80000000 | 10)).lower() == world.owner, "as every EVM chain's"
        assert await ask("text", CLAIMED, key="url") == RECORDS["text:url"]
        assert await ask("text", CLAIMED, key="nothing") in ("", None)
        assert await ask("contenthash", CLAIMED) == RECORDS["contenthash"]
        assert await ask("multitext", CLAIMED, keys=["url", "avatar"]) == [RECORDS["text:url"], RECORDS["text:avatar"]]
        found = await ask("profiles", CLAIMED, calls=OTHERS)
        assert found == [["0x" + "ab" * 32, "0x" + "cd" * 32], ["1", "0x5b5d"], [SHOP], ["0x0102"]]
        assert await ask("addr", BRIDGED) == checksum(world.person)
        assert (await ask("coin", BRIDGED, coin=BASE)).lower() == world.person
        assert (await ask("text", BRIDGED, key="network.dm3.profile")).startswith("data:application/json,{")
        assert await ask("profiles", BRIDGED, calls=OTHERS) == [[ZERO, ZERO], ["0", "0x"], ["0x" + "0" * 40], ["0x"]]
    finally:
        script.close()


async def test_by_web3_py(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HOST_CHECK, _any_host)
    web3 = AsyncWeb3(AsyncHTTPProvider(world.house.chain.url))
    web3.provider.ccip_read_allow_http = True
    ens = AsyncENS.from_web3(web3)
    try:
        assert await ens.address(CLAIMED) == checksum(world.owner)
        assert await ens.address(CLAIMED, coin_type=BASE) == checksum(EthAddress(SHOP))
        assert await ens.get_text(CLAIMED, "url") == RECORDS["text:url"]
        assert await ens.address(BRIDGED) == checksum(world.person)
        assert (await ens.get_text(BRIDGED, "network.dm3.profile")).startswith("data:application/json,{")
    finally:
        await web3.provider.disconnect()
