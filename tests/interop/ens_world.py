"""A chain, gateways of several characters, and names on both: what the ENS clients of the tests are pointed at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.demo.chain import EnsWorld, RunningChain, running_chain
from gateway.demo.chain.accounts import Account
from gateway.demo.chain.ens import ccip_url
from gateway.dm3.eth import address_bytes
from gateway.ids import EnsName, EthAddress
from gateway.resolver.endpoint import CcipEndpoint
from gateway.resolver.records import NameRecords
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner
from gateway.resolver.sources import Fixed
from tests.support.asgi import serving

BTC_SCRIPT = bytes.fromhex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac")
CONTENTHASH = bytes.fromhex("e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f")
BASE = 0x80000000 | 8453
PROFILE_URI = "data:application/json,%7B%22profile%22%3A%7B%7D%2C%22signature%22%3A%220x%22%7D"
TEXTS = {
    "url": "https://example.org/?q=1&r=ü",
    "description": "Grüße aus Ξένος 👋",
    "network.dm3.profile": PROFILE_URI,
    "network.dm3.deliveryService": "data:application/json;base64,e30=",
    "avatar": "https://example.org/" + "a" * 900,
}
PERSON = EthAddress("0x" + "a5" * 20)
BASE_PERSON = EthAddress("0x" + "b6" * 20)
RECORDS = NameRecords(
    address=address_bytes(PERSON),
    coins={0: BTC_SCRIPT, BASE: address_bytes(BASE_PERSON)},
    texts=TEXTS,
    contenthash=CONTENTHASH,
    name="bob.gw.eth",
    pubkey=(b"\x11" * 32, b"\x22" * 32),
    abis={1: b'[{"type":"fallback"}]', 4: b"\x80"},
    interfaces={bytes.fromhex("01ffc9a7"): b"\x33" * 20},
    data={"agent-context": b"\0\xffdata"},
)
PROFILES: dict[str, tuple[str, list[Any], list[str], list[str]]] = {
    "name": ("function name(bytes32) view returns (string)", [], ["bob.gw.eth"], [""]),
    "pubkey": (
        "function pubkey(bytes32) view returns (bytes32, bytes32)",
        [],
        ["0x" + "11" * 32, "0x" + "22" * 32],
        ["0x" + "00" * 32] * 2,
    ),
    "ABI": (
        "function ABI(bytes32, uint256) view returns (uint256, bytes)",
        ["6"],
        ["4", "0x80"],
        ["0", "0x"],
    ),
    "interfaceImplementer": (
        "function interfaceImplementer(bytes32, bytes4) view returns (address)",
        ["0x01ffc9a7"],
        ["0x" + "33" * 20],
        ["0x" + "00" * 20],
    ),
    "data": (
        "function data(bytes32, string) view returns (bytes)",
        ["agent-context"],
        ["0x00ff" + b"data".hex()],
        ["0x"],
    ),
}
"""Kinds that clients have no method for: signature, arguments after the node, answer of RECORDS, answer of nobody."""
ON_CHAIN = (EnsName("native.eth"), EnsName("early.echo.eth"), EnsName("ξένος.echo.eth"), EnsName("💩.echo.eth"))
PARENT = EnsName("gw.eth")
OFF_CHAIN = (
    EnsName("bob.gw.eth"),
    EnsName("bob-2esmith.example.org.email.gw.eth"),
    EnsName("0-x41lice.example.org.matrix.gw.eth"),
    EnsName("ξένος.gw.eth"),
    EnsName("💩.gw.eth"),
)
REFUSED = ("expired", "foreign", "removed")
"""First labels of parents whose answers no client may believe."""
SECOND_URL = EnsName("bob.second.eth")
STOPPED = EnsName("bob.stopped.eth")
TEMPLATE_URL = EnsName("bob.template.eth")


@dataclass
class Gateways:
    """One ASGI application for several gateways; the first segment of the path names the gateway."""

    apps: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Paths asked for."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI entry."""
        self.requests.append(scope["path"])
        _, name, rest = scope["path"].split("/", 2)
        status = {"broken": 503, "stopping": 404}.get(name)
        if status is None:
            await self.apps[name]({**scope, "path": "/" + rest}, receive, send)
            return
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": b'{"message":"not today"}'})


@dataclass(frozen=True)
class World:
    """What the tests need to know of it."""

    chain: RunningChain
    gateways: Gateways
    resolver: EthAddress
    """The offchain resolver of PARENT."""

    def told(self) -> dict[str, Any]:
        """What a client needs to know of it."""
        return {
            "rpcUrl": self.chain.url,
            "chainId": self.chain.chain_id,
            "registry": self.chain.registry,
            "universalResolver": self.chain.universal_resolver,
        }


@asynccontextmanager
async def ens_world() -> AsyncIterator[World]:
    """Everything on 127.0.0.1, for as long as the context lasts."""
    gateways = Gateways()
    async with running_chain() as chain, serving(gateways) as port:
        base = f"http://127.0.0.1:{port}"
        resolver = await asyncio.to_thread(_found, chain.ens, chain.accounts, gateways, base)
        yield World(chain, gateways, resolver)


def _found(ens: EnsWorld, people: Mapping[str, Account], gateways: Gateways, base: str) -> EthAddress:
    for name in ON_CHAIN:
        _write(ens, name)
    ens.set_primary_name(people["native"].address, "native.eth")
    ens.set_addr(ON_CHAIN[0], people["native"].address)
    founder = _Founder(ens, people, gateways, base)
    resolver = founder.parent("gw", OFF_CHAIN)
    founder.parent("second", (SECOND_URL,), urls=[f"{base}/broken", f"{base}/second"])
    founder.parent("stopped", (STOPPED,), urls=[f"{base}/stopping", f"{base}/stopped"])
    founder.parent("expired", (EnsName("bob.expired.eth"),), clock=lambda: time.time() - 3600)
    founder.parent("foreign", (EnsName("bob.foreign.eth"),), signer="mallory")
    removed = founder.parent("removed", (EnsName("bob.removed.eth"),))
    ens.remove_signer(removed, people["bob"].address)
    template = founder.parent("template", (TEMPLATE_URL,))
    ens.set_urls(template, [f"{base}/template/ccip/{{sender}}/{{data}}.json"])
    return resolver


def _write(ens: EnsWorld, name: EnsName) -> None:
    ens.register(name)
    ens.set_addr(name, PERSON)
    for coin, value in RECORDS.coins.items():
        ens.set_coin(name, coin, value)
    for key, text in TEXTS.items():
        ens.set_text(name, key, text)
    ens.set_contenthash(name, CONTENTHASH)


@dataclass(frozen=True)
class _Founder:
    ens: EnsWorld
    people: Mapping[str, Account]
    gateways: Gateways
    base: str

    def parent(
        self,
        label: str,
        names: tuple[EnsName, ...],
        *,
        urls: list[str] | None = None,
        signer: str = "bob",
        clock: Callable[[], float] = time.time,
    ) -> EthAddress:
        """``<label>.eth`` on a resolver contract of its own, which believes bob, with a gateway of its own."""
        parent = EnsName(f"{label}.eth")
        templates = [ccip_url(url) for url in urls or [f"{self.base}/{label}"]]
        contract = self.ens.deploy_offchain_resolver(templates, [self.people["bob"].address])
        self.ens.register(parent, resolver=contract)
        source = Fixed(dict.fromkeys(names, RECORDS))
        key = KeySigner.of(self.people[signer].key)
        self.gateways.apps[label] = CcipEndpoint(Resolver([source], key, [contract], 300, [parent], clock=clock))
        return contract
