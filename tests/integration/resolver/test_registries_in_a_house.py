"""A whole gateway with registries: look-ups on its chain give records of another one, a web server, other zones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.app import Gateway
from gateway.demo.chain import RunningChain, running_chain
from gateway.demo.chain.ens import ccip_url
from gateway.dm3.eth import address_from_bytes
from gateway.ens.names import namehash
from gateway.errors import FetchFailed, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.registry_settings import HttpRegistry
from gateway.resolver.endpoint import CcipEndpoint
from gateway.resolver.records import DEFAULT_EVM, NameRecords
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner
from gateway.resolver.sources import DELIVERY_SERVICE_KEY, Fixed
from gateway.store.names import NameRow, PutName
from tests.integration.ens.servers import Server, answering, response, scripted, silence
from tests.support.asgi import serving
from tests.support.house import House, running_house
from tests.unit.resolver.registries.documents import NOW, REGISTRY, body

BASE = 8453
ADDRESS = EthAddress("0x71c7656ec7ab88b098defb751b7401b5f6d8976f")
OTHERS = KeySigner.of(b"\x08" * 32)


def registries(*tables: Mapping[str, Any]) -> dict[str, str]:
    return {"DM3_GATEWAY__ENS__REGISTRIES": json.dumps(list(tables))}


def alias(zone: str, target: str, **changes: Any) -> dict[str, Any]:
    return {"type": "alias", "zone": zone, "target": target, "timeout": 20, **changes}


def web(server: Server, zone: str = "web", timeout: float = 20) -> dict[str, Any]:
    return {
        "type": "http",
        "zone": zone,
        "target": "gno.eth",
        "urls": [server.url("/{name}")],
        "signers": [REGISTRY.address],
        "timeout": timeout,
    }


def evm(other: RunningChain, **changes: Any) -> dict[str, Any]:
    table = {
        "type": "evm",
        "zone": "base",
        "target": "example.eth",
        "rpc_urls": [other.url],
        "chain_id": BASE,
        "timeout": 20,
    }
    return table | (changes or {"registry": other.registry})


@asynccontextmanager
async def zone_of_others(chain: RunningChain, name: str, people: Mapping[str, NameRecords]) -> AsyncIterator[list[str]]:
    """Another zone of the same ENS behind a gateway of somebody else; gives the paths that are asked for there."""
    contract = await asyncio.to_thread(chain.ens.deploy_offchain_resolver, [], [OTHERS.address])
    await asyncio.to_thread(chain.ens.register, EnsName(name), None, contract)
    source = Fixed({EnsName(f"{label}.{name}"): records for label, records in people.items()})
    app = CcipEndpoint(Resolver([source], OTHERS, [contract], 300, [EnsName(name)]))
    asked: list[str] = []
    async with serving(counting(app, asked)) as port:
        await asyncio.to_thread(chain.ens.set_urls, contract, [ccip_url(f"http://127.0.0.1:{port}")])
        yield asked


def counting(app: ASGIApp, asked: list[str]) -> ASGIApp:
    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await app(scope, receive, send)

    return counted


async def test_records_of_another_chain_through_ccip_read(tmp_path: Path) -> None:
    def write(other: RunningChain) -> None:
        for name in ("alice.example.eth", "💩.example.eth"):
            other.ens.register(EnsName(name))
            other.ens.set_text(EnsName(name), "url", f"https://{name}")
        other.ens.set_addr(EnsName("alice.example.eth"), ADDRESS)
        other.ens.set_coin(EnsName("alice.example.eth"), DEFAULT_EVM, b"\x05" * 20)
        other.ens.set_contenthash(EnsName("alice.example.eth"), b"\xe3\x01\x01")

    async with running_chain(chain_id=BASE) as other:
        await asyncio.to_thread(write, other)
        by_resolver = evm(other, zone="direct", resolver=other.ens.public_resolver)
        async with running_house(tmp_path, overrides=registries(evm(other), by_resolver)) as house:
            assert house.chain.url != other.url
            for zone in ("base", "direct"):
                alice = EnsName(f"alice.{zone}.gw.eth")
                assert await house.ens.text(alice, "url") == "https://alice.example.eth"
                assert await house.ens.text(alice, "absent") == ""
                assert await house.ens.address(alice) == ADDRESS
                assert await house.ens.addr(alice, DEFAULT_EVM | 10) == b"\x05" * 20
                assert await house.ens.addr(alice, 0) is None
                assert await house.ens.contenthash(alice) == b"\xe3\x01\x01"
                assert await house.ens.text(EnsName(f"💩.{zone}.gw.eth"), "url") == "https://💩.example.eth"
                assert await house.ens.text(EnsName(f"nobody.{zone}.gw.eth"), "url") == ""
            assert await house.ens.text(EnsName("alice.example.eth"), "url") == "", "it is not on the main chain"


async def test_while_a_chain_or_a_server_is_down_its_names_are_errors_and_others_are_not(tmp_path: Path) -> None:
    async with running_chain(chain_id=BASE) as other, scripted(silence) as hanging:
        tables = [evm(other) | {"rpc_urls": [hanging.url()], "timeout": 0.5}, web(hanging, timeout=1)]
        async with running_house(tmp_path, overrides=registries(*tables)) as house:
            for name in ("alice.base.gw.eth", "alice.web.gw.eth"):
                pending = asyncio.create_task(house.ens.text(EnsName(name), "url"))
                known = await house.ens.text(house.gateway.service_name, DELIVERY_SERVICE_KEY)
                assert known.startswith("data:application/json")
                assert await house.ens.text(EnsName("nobody.gw.eth"), "url") == ""
                with pytest.raises(FetchFailed, match="503"):
                    await pending


async def test_clients_go_on_to_the_next_gateway_when_a_registry_does_not_answer_here(tmp_path: Path) -> None:
    """Two installations sign for one contract; one of them cannot reach the registry."""
    signed: dict[str, Any] = {"expires": NOW, "records": {"texts": {"url": "https://alice.example"}}}
    async with (
        scripted(answering(response(500))) as broken,
        scripted(answering(response(200, body(**signed)))) as working,
        running_house(tmp_path / "one", overrides=registries(web(broken))) as house,
    ):
        alice = EnsName("alice.web.gw.eth")
        with pytest.raises(FetchFailed, match="503"):
            await house.ens.text(alice, "url")
        second = house.settings.model_copy(
            update={"ens": house.settings.ens.model_copy(update={"registries": _tables(web(working))})}
        )
        other = await Gateway.open(second, {})
        try:
            async with serving(other.app) as port:
                contract = EthAddress(house.settings.ens.resolver_addresses[0])
                urls = [ccip_url(house.url), ccip_url(f"http://127.0.0.1:{port}")]
                await asyncio.to_thread(house.chain.ens.set_urls, contract, urls)
                assert await house.ens.text(alice, "url") == "https://alice.example"
        finally:
            await other.close()
    assert broken.asked
    assert working.asked


def _tables(table: Mapping[str, Any]) -> tuple[Any, ...]:
    return (HttpRegistry.model_validate(table),)


async def test_another_zone_with_unicode_and_gateways_of_its_own(tmp_path: Path) -> None:
    bob = NameRecords(
        address=bytes.fromhex(ADDRESS[2:]),
        coins={0: b"\x00\x14" + b"\x02" * 20},
        texts={"url": "https://bob.example", "ключ": "значение 💩"},
        contenthash=b"\xe3\x01",
    )
    people = {"bob": bob, "ξένος": NameRecords(texts={"url": "ξένος"}), "a.b": NameRecords(texts={"url": "deep"})}
    async with running_chain() as chain:
        await asyncio.to_thread(chain.ens.register, EnsName("plain.eth"))
        await asyncio.to_thread(chain.ens.set_text, EnsName("plain.eth"), "url", "on chain")
        tables = [alias("ex", "example.eth"), alias("ελ", "eth", ttl=30)]
        async with (
            zone_of_others(chain, "example.eth", people) as asked,
            running_house(tmp_path, chain=chain, overrides=registries(*tables)) as house,
        ):
            name = EnsName("bob.ex.gw.eth")
            assert await house.ens.address(name) == address_from_bytes(bob.address or b"")
            assert await house.ens.addr(name, 0) == bob.coins[0]
            assert await house.ens.text(name, "ключ") == "значение 💩"
            assert await house.ens.contenthash(name) == b"\xe3\x01"
            assert await house.ens.text(EnsName("ξένος.ex.gw.eth"), "url") == "ξένος"
            assert await house.ens.text(EnsName("a.b.ex.gw.eth"), "url") == "deep"
            assert await house.ens.text(EnsName("nobody.ex.gw.eth"), "url") == ""
            assert await house.ens.text(EnsName("plain.ελ.gw.eth"), "url") == "on chain"
            assert await house.ens.text(EnsName("bob.example.ελ.gw.eth"), "url") == "https://bob.example"
            assert await house.ens.text(EnsName("nothing.ελ.gw.eth"), "url") == ""
            before = len(asked)
            assert await house.ens.text(name, "ключ") == "значение 💩"
            assert len(asked) == before, "it is remembered"


async def test_a_zone_whose_gateways_deny_or_fail_is_never_told_to_be_empty(tmp_path: Path) -> None:
    async with running_chain() as chain:
        for label, script in (("denies", answering(response(404, b"{}"))), ("fails", answering(response(502, b"{}")))):
            contract = await asyncio.to_thread(chain.ens.deploy_offchain_resolver, [], [OTHERS.address])
            await asyncio.to_thread(chain.ens.register, EnsName(f"{label}.eth"), None, contract)
            folder = tmp_path / label
            async with (
                scripted(script) as server,
                running_house(
                    folder, chain=chain, parent=EnsName(f"gw{label}.eth"), overrides=registries(alias("x", "eth"))
                ) as house,
            ):
                await asyncio.to_thread(chain.ens.set_urls, contract, [server.url("/{sender}/{data}")])
                with pytest.raises(UnknownName if label == "denies" else FetchFailed):
                    await house.ens.text(EnsName(f"bob.{label}.x.gw{label}.eth"), "url")
                assert await house.ens.text(EnsName(f"nobody.x.gw{label}.eth"), "url") == ""


async def test_slow_gateways_of_one_name_do_not_close_the_zone_to_others(tmp_path: Path) -> None:
    async with running_chain() as chain, scripted(answering(response(502))) as server:
        await asyncio.to_thread(chain.ens.register, EnsName("plain.eth"))
        await asyncio.to_thread(chain.ens.set_text, EnsName("plain.eth"), "url", "on chain")
        contract = await asyncio.to_thread(
            chain.ens.deploy_offchain_resolver, [server.url("/{sender}/{data}")], [OTHERS.address]
        )
        await asyncio.to_thread(chain.ens.register, EnsName("bad.eth"), None, contract)
        async with running_house(tmp_path, chain=chain, overrides=registries(alias("x", "eth", failures=2))) as house:
            for number in range(5):
                with pytest.raises(FetchFailed):
                    await house.ens.text(EnsName(f"n{number}.bad.x.gw.eth"), "url")
            assert len(server.asked) == 2, "its gateways are left alone"
            assert await house.ens.text(EnsName("plain.x.gw.eth"), "url") == "on chain"


async def test_names_that_lead_back_to_this_gateway_are_refused(tmp_path: Path) -> None:
    asked: list[str] = []
    async with running_house(
        tmp_path,
        overrides=registries(alias("all", "eth"), alias("loop", "loop.eth")),
        around=lambda app: counting(app, asked),
    ) as house:
        own = EthAddress(house.settings.ens.resolver_addresses[0])
        await asyncio.to_thread(house.chain.ens.register, EnsName("loop.eth"), None, own)
        for name in ("bob.gw.all.gw.eth", "gw.all.gw.eth", "bob.all.gw.all.gw.eth", "bob.loop.gw.eth"):
            asked.clear()
            with pytest.raises(UnknownName):
                await house.ens.text(EnsName(name), "url")
            assert len(asked) == 1, name


async def test_two_gateways_that_lead_to_each_other_stop_at_the_second(tmp_path: Path) -> None:
    asked: list[str] = []
    async with running_chain() as chain:
        tables = [alias("b", "a.other.eth"), alias("o", "other.eth")]
        async with (
            running_house(
                tmp_path / "one",
                chain=chain,
                overrides=registries(*tables),
                around=lambda app: counting(app, asked),
            ) as house,
            running_house(
                tmp_path / "two",
                chain=chain,
                parent=EnsName("other.eth"),
                overrides=registries(alias("a", "b.gw.eth")),
                around=lambda app: counting(app, asked),
            ) as other,
        ):
            with pytest.raises(UnknownName):
                await house.ens.text(EnsName("bob.b.gw.eth"), "url")
            assert len(asked) == 2
            profile = await house.ens.text(EnsName("ds.o.gw.eth"), DELIVERY_SERVICE_KEY)
            assert profile == await house.ens.text(other.gateway.service_name, DELIVERY_SERVICE_KEY) != ""


async def test_our_own_database_comes_first_and_registries_in_their_order(tmp_path: Path) -> None:
    def first(other: RunningChain) -> None:
        other.ens.register(EnsName("alice.example.eth"))
        other.ens.set_text(EnsName("alice.example.eth"), "url", "chain")

    async with running_chain(chain_id=BASE) as other:
        await asyncio.to_thread(first, other)
        texts: dict[str, Any] = {"expires": NOW, "records": {"texts": {"url": "web", "avatar": "web"}}}

        async def script(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(response(200, body(name=asked.path[1:], **texts)))

        async with (
            scripted(script) as server,
            running_house(tmp_path, overrides=registries(evm(other), web(server, "base"))) as house,
        ):
            assert await house.ens.text(EnsName("alice.base.gw.eth"), "url") == "chain"
            assert await house.ens.text(EnsName("alice.base.gw.eth"), "avatar") == ""
            assert await house.ens.text(EnsName("bob.base.gw.eth"), "url") == "web"
            await _claim(house, "alice.base.gw.eth", "mine")
            assert await house.ens.text(EnsName("alice.base.gw.eth"), "url") == "mine"


async def _claim(house: House, name: str, url: str) -> None:
    row = NameRow(
        name=EnsName(name),
        node=namehash(EnsName(name)),
        owner=None,
        address=None,
        coins={},
        texts={"url": url},
        contenthash=None,
        created_at=1,
        updated_at=1,
    )
    await house.gateway.store.commit(PutName(row))
