"""web3.py has no batch gateway inside, as viem and ethers have: it resolves through ours.

The name is on a resolver without ENSIP-22, which a universal resolver asks through a batch gateway only.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode
from starlette.types import ASGIApp, Receive, Scope, Send
from web3 import AsyncHTTPProvider, AsyncWeb3

from gateway.demo.chain import wallet
from gateway.demo.chain.artefacts import load_artefact
from gateway.demo.chain.running import RunningChain, running_chain
from gateway.dm3.eth import address_from_bytes, checksum
from gateway.ens.names import dns_encode
from gateway.ids import EnsName, EthAddress
from gateway.resolver.signer import load_signer
from tests.interop.test_ens_web3 import HOST_CHECK, _any_host
from tests.support.featureless import featureless_resolver
from tests.support.house import PARENT, House, running_house
from tests.unit.resolver import support

NAME = EnsName(f"ds.{PARENT}")


ABI: list[Any] = [
    {
        "type": "function",
        "name": "resolve",
        "stateMutability": "view",
        "inputs": [{"name": "name", "type": "bytes"}, {"name": "data", "type": "bytes"}],
        "outputs": [{"name": "", "type": "bytes"}, {"name": "", "type": "address"}],
    }
]


class Watched:
    """Notes which of a gateway's endpoints are asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, app: ASGIApp) -> ASGIApp:
        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            self.asked.append(scope["path"].split("/")[1])
            await app(scope, receive, send)

        return watch


def deploy(chain: RunningChain, code: bytes) -> EthAddress:
    """A contract of the account root."""
    created = wallet.send(chain.core, chain.accounts["root"], None, code).created
    assert created is not None
    return address_from_bytes(created)


def found(house: House, resolver: EthAddress) -> EthAddress:
    """Put PARENT on the resolver; a universal resolver that asks through the house's batch gateway."""
    ens = house.chain.ens
    ens.add_signer(resolver, load_signer(house.settings.ens.signer_key_file).address)
    ens.set_urls(resolver, [f"{house.url}/ccip/{{sender}}/{{data}}.json"])
    ens.set_resolver(PARENT, resolver)
    batch = f"{house.url}/ccip-batch/{{sender}}/{{data}}.json"
    return deploy(house.chain, load_artefact("UniversalResolver").creation_code(house.chain.registry, [batch]))


async def test_web3_resolves_through_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HOST_CHECK, _any_host)
    watched = Watched()
    async with running_chain() as chain:
        root = chain.accounts["root"].address
        resolver = await asyncio.to_thread(deploy, chain, featureless_resolver().creation_code(root, [], []))
        overrides = {
            "DM3_GATEWAY__ENS__BATCH_GATEWAY": "true",
            "DM3_GATEWAY__ENS__RESOLVER_ADDRESSES": json.dumps([resolver]),
        }
        async with running_house(tmp_path, chain=chain, overrides=overrides, working=False, around=watched) as house:
            universal = await asyncio.to_thread(found, house, resolver)
            web3 = AsyncWeb3(AsyncHTTPProvider(chain.url))
            web3.provider.ccip_read_allow_http = True
            contract = web3.eth.contract(address=AsyncWeb3.to_checksum_address(universal), abi=ABI)
            call = support.text(NAME, "network.dm3.deliveryService")
            result, by = await contract.functions.resolve(dns_encode(NAME), call).call()
            await web3.provider.disconnect()
    assert by == checksum(resolver)
    (text,) = decode(["string"], result)
    assert text.startswith("data:application/json")
    assert watched.asked == ["ccip-batch", "ccip"]
