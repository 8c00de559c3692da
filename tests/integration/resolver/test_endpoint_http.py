"""The endpoint over HTTP, mounted as the gateway mounts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from eth_abi.abi import decode
from starlette.applications import Starlette

from gateway.dm3.eth import recover
from gateway.ids import EnsName, EthAddress
from gateway.resolver.endpoint import CCIP_PATH, CcipEndpoint
from gateway.resolver.records import NameRecords
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner, answer_digest
from gateway.resolver.sources import Fixed
from gateway.web.direct import Direct
from tests.support.asgi import serving
from tests.unit.resolver import support

SENDER = EthAddress("0x" + "ab" * 20)
SIGNER = KeySigner.of(b"\x07" * 32)
NAME = "bob.gw.eth"
CALLDATA = support.resolve(NAME, support.text(NAME, "url"))


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a running endpoint."""
    source = Fixed({EnsName(NAME): NameRecords(texts={"url": "https://example.org"})})
    resolver = Resolver([source], SIGNER, [SENDER], 300, [EnsName("gw.eth")])
    app = Direct(Starlette(), {}, {CCIP_PATH: CcipEndpoint(resolver)})
    async with (
        serving(app) as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as connected,
    ):
        yield connected


def check(response: httpx2.Response) -> str:
    """The text in a signed answer."""
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = bytes.fromhex(response.json()["data"][2:])
    result, expires, signature = decode(["bytes", "uint64", "bytes"], answer)
    assert recover(answer_digest(SENDER, expires, CALLDATA, result), signature) == SIGNER.address
    text: str = decode(["string"], result)[0]
    return text


@pytest.mark.weakness(20)
async def test_get_and_post(client: httpx2.AsyncClient) -> None:
    data = "0x" + CALLDATA.hex()
    for path in (f"/ccip/{SENDER}/{data}", f"/ccip/{SENDER}/{data}.json", f"/ccip/{SENDER}/{data}.json?via={SENDER}"):
        assert check(await client.get(path)) == "https://example.org"
    for path in ("/ccip/", "/ccip"):
        response = await client.post(path, json={"sender": SENDER, "data": data})
        assert check(response) == "https://example.org"


async def test_errors_over_http(client: httpx2.AsyncClient) -> None:
    for path, status in ((f"/ccip/{SENDER}/0x00", 400), (f"/ccip/0x{'cd' * 20}/0x{CALLDATA.hex()}", 404)):
        response = await client.get(path)
        assert response.status_code == status
        assert response.json()["message"]
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["cache-control"] == "no-store"
    assert (await client.get("/ccip/%00%ff/%F0")).status_code == 400
    assert (await client.post("/ccip/", content=b"x" * 100_000)).status_code == 413


async def test_many_at_once(client: httpx2.AsyncClient) -> None:
    responses = await asyncio.gather(*(client.get(f"/ccip/{SENDER}/0x{CALLDATA.hex()}") for _ in range(50)))
    assert {check(response) for response in responses} == {"https://example.org"}
