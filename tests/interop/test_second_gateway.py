"""An operator leaves with everything: another gateway takes the zone over, and look-ups go on without the first."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from eth_abi.abi import decode

from gateway.app import Gateway
from gateway.demo.chain.ens import ccip_url
from gateway.dm3.eth import parse_address
from gateway.ids import EnsName
from gateway.operations.installation import Answers, create_installation
from gateway.resolver.signer import load_signer
from gateway.settings import load_settings
from gateway.web.server import HttpServer, listen
from tests.integration.subnames.test_cli import command
from tests.integration.subnames.wallets import Wallet
from tests.support.adapters import PaperAdapter
from tests.support.house import PARENT, House, running_house
from tests.support.node import JS_FOLDER, NodeScript
from tests.support.waiting import mail_of, until
from tests.unit.resolver import support

GO_ON = ("viem.mjs", "ethers6.mjs")
"""Take the next URL of the contract also when nobody listens at the first; ethers 5 wants a 5xx with JSON for that."""
ETHERS_5 = "ethers5.cjs"
CLAIMED = EnsName("robert.gw.eth")
BRIDGED = EnsName("bob.example.org.paper.gw.eth")
RECORDS = {
    "text:url": "https://example.org/ü",
    "coin:0": "0x76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
    "contenthash": "0xe3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f",
    "pubkey": "0x" + "ab" * 64,
    "abi:1": "0x5b5d",
    "interface:0x01ffc9a7": "0x" + "12" * 20,
    "data:k": "0x0102",
}
KEYS = ("url", "name", "network.dm3.profile", "nothing")


@asynccontextmanager
async def second_gateway(house: House, folder: Path, zone: Path) -> AsyncIterator[tuple[Gateway, HttpServer]]:
    """Another installation that has taken the zone over; its signer and its URL are in the same contract."""
    contract = parse_address(house.settings.ens.resolver_addresses[0])
    async with AsyncExitStack() as stack:
        bound = listen("127.0.0.1", 0)
        stack.callback(bound.close)
        port: int = bound.getsockname()[1]
        answers = Answers(
            parent=PARENT,
            public_url=f"http://127.0.0.1:{port}",
            port=port,
            rpc_url=house.chain.url,
            chain_id=house.chain.chain_id,
            ens_registry=house.chain.registry,
            resolver_address=contract,
            allow_private_gateways=True,
        )
        config = create_installation(folder, answers)
        settings = load_settings(config, environ={})
        signer = await asyncio.to_thread(lambda: load_signer(house.settings.ens.signer_key_file).address)
        for arguments in (("migrate",), ("names", "import", str(zone), "--zone", "--signer", signer)):
            done = await asyncio.to_thread(command, *arguments, config=config)
            assert done.returncode == 0, done.stdout + done.stderr
        ens, own = house.chain.ens, load_signer(settings.ens.signer_key_file).address
        await asyncio.to_thread(ens.add_signer, contract, own)
        urls = [ccip_url(house.url), ccip_url(settings.server.public_url)]
        await asyncio.to_thread(ens.set_urls, contract, urls)
        gateway = await Gateway.open(settings, {})
        stack.push_async_callback(gateway.close)
        server = HttpServer(gateway.app, bound)
        await server.start()
        stack.push_async_callback(server.stop)
        yield gateway, server


async def result_of(house: House, url: str, calldata: bytes) -> bytes:
    """What a gateway signed."""
    contract = house.settings.ens.resolver_addresses[0]
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.get(f"{url}/ccip/{contract}/0x{calldata.hex()}.json")
    assert answer.status_code == 200, answer.text
    result, _, _ = decode(["bytes", "uint64", "bytes"], bytes.fromhex(answer.json()["data"][2:]))
    return bytes(result)


def calls() -> list[bytes]:
    """Look-ups of every kind of record, of both names and of nobody's."""
    asked = []
    for name in (CLAIMED, BRIDGED, EnsName("nobody.gw.eth")):
        inner = [support.addr(name), support.contenthash(name)]
        inner += [support.coin(name, each) for each in (0, 60, 0x80000000, 0x80000000 | 8453)]
        inner += [support.text(name, key) for key in KEYS]
        inner += [support.name(name), support.pubkey(name), support.contract_abi(name, 3), support.data(name, "k")]
        inner.append(support.interface(name, bytes.fromhex("01ffc9a7")))
        inner.append(support.multicall(inner[:4]))
        asked += [support.resolve(name, each) for each in inner]
    return asked


async def unavailable(scope: Any, receive: Any, send: Any) -> None:
    """A reverse proxy whose gateway is away, as deploy/README.md has it."""
    await send({"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"message":"away"}'})


class Client:
    """A published client that looks up names all the while."""

    def __init__(self, house: House, file: str) -> None:
        self._house = house
        self._script = NodeScript(JS_FOLDER / "ens" / file)
        self.answered = 0
        self.failed: list[str] = []
        self._going = True

    async def run(self, expected: dict[EnsName, str]) -> None:
        """Until `stop`."""
        chain = self._house.chain
        world = {"rpcUrl": chain.url, "chainId": chain.chain_id, "registry": chain.registry}
        await asyncio.to_thread(self._script.call, "open", universalResolver=chain.universal_resolver, **world)
        while self._going:
            for name, address in expected.items():
                try:
                    found = await asyncio.to_thread(self._script.call, "addr", name=name)
                    assert str(found).lower() == address, found
                    self.answered += 1
                except Exception as error:
                    self.failed.append(repr(error))

    def stop(self) -> None:
        """No further look-up."""
        self._going = False

    def close(self) -> None:
        """End its process."""
        self._script.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    paper = PaperAdapter()
    settings = {"DM3_GATEWAY__SUBNAMES__POLICY": "open"}
    async with running_house(tmp_path / "first", adapters={paper.name: paper}, overrides=settings) as running:
        native = await running.native("native.eth")
        await paper.write("bob@example.org", native.name, "hello", "n1")
        await mail_of(native)
        yield running


async def test_look_ups_go_on_while_the_first_gateway_is_gone(house: House, tmp_path: Path) -> None:
    bob = Wallet(house, secrets.token_bytes(32))
    assert (await bob.claim(CLAIMED)).status_code == 201
    assert (await bob.order(CLAIMED, action="records", records=RECORDS)).status_code == 200
    zone = tmp_path / "gw.zone"
    done = await asyncio.to_thread(command, "names", "export", str(zone), "--zone", config=house.config)
    assert done.returncode == 0, done.stdout + done.stderr
    person = await house.ens.address(BRIDGED)
    assert person is not None
    expected = {CLAIMED: str(bob.address), BRIDGED: str(person)}
    async with second_gateway(house, tmp_path / "second", zone) as (_, server):
        there = f"http://127.0.0.1:{server.port}"
        for calldata in calls():
            assert await result_of(house, there, calldata) == await result_of(house, house.url, calldata)
        clients = [Client(house, file) for file in GO_ON]
        running = [asyncio.create_task(client.run(expected)) for client in clients]
        try:
            await _answered(clients, 6)
            await house.server.stop()
            with pytest.raises(httpx2.TransportError):
                await result_of(house, house.url, calls()[0])
            await _answered(clients, 12)
            proxy = HttpServer(unavailable, listen("127.0.0.1", int(house.url.rpartition(":")[2])))
            await proxy.start()
            try:
                clients.append(Client(house, ETHERS_5))
                running.append(asyncio.create_task(clients[-1].run(expected)))
                await _answered(clients, 12)
            finally:
                clients[-1].stop()
                await asyncio.wait(running[2:])
                await proxy.stop()
        finally:
            for client in clients:
                client.stop()
            await asyncio.gather(*running)
            for client in clients:
                client.close()
        assert [client.failed for client in clients] == [[], [], []]


async def _answered(clients: list[Client], more: int) -> None:
    wanted = [client.answered + more for client in clients]

    async def look() -> bool | None:
        assert [client.failed for client in clients] == [[] for _ in clients]
        return all(client.answered >= number for client, number in zip(clients, wanted, strict=True)) or None

    await until(look, 60)


async def test_a_second_gateway_takes_no_zone_that_somebody_else_signed(house: House, tmp_path: Path) -> None:
    zone = tmp_path / "gw.zone"
    done = await asyncio.to_thread(command, "names", "export", str(zone), "--zone", config=house.config)
    assert done.returncode == 0
    arguments: list[Any] = ["names", "import", str(zone), "--zone", "--signer", "0x" + "12" * 20]
    refused = await asyncio.to_thread(command, *arguments, config=house.config)
    assert refused.returncode == 1
    assert "signed" in refused.stdout + refused.stderr
