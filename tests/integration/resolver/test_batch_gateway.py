"""The batch gateway of a running house: what it fetches, what it refuses, and that it is off unless wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from eth_abi.abi import decode, encode

from gateway.dm3.eth import keccak256, recover
from gateway.ens.ccip import CcipReader
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.resolver import batch
from gateway.resolver.batch import HTTP_ERROR, QUERY, BatchGateway, parse_query
from gateway.resolver.signer import answer_digest, load_signer
from tests.support.asgi import serving
from tests.support.house import PARENT, House, running_house
from tests.unit.resolver import support

ON = {"DM3_GATEWAY__ENS__BATCH_GATEWAY": "true"}
NAME = EnsName(f"ds.{PARENT}")
CALLDATA = support.resolve(NAME, support.text(NAME, "network.dm3.deliveryService"))
ANYBODY = "0x" + "ee" * 20


def query(*items: tuple[str, list[str], bytes]) -> str:
    return "0x" + (QUERY + encode(["(address,string[],bytes)[]"], [list(items)])).hex()


async def ask(house: House, data: str) -> tuple[list[bool], list[bytes]]:
    """Failures and responses."""
    response = await house.http.get(f"{house.url}/ccip-batch/{ANYBODY}/{data}.json")
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["access-control-allow-origin"] == "*"
    failures, responses = decode(["bool[]", "bytes[]"], bytes.fromhex(response.json()["data"][2:]))
    return list(failures), list(responses)


def why(response: bytes) -> tuple[int, str]:
    """Status and message of an HttpError."""
    assert response[:4] == HTTP_ERROR
    status, message = decode(["uint16", "string"], response[4:])
    return status, message


def own(house: House) -> tuple[str, list[str], bytes]:
    """A query that our own resolver answers."""
    (contract,) = house.settings.ens.resolver_addresses
    return contract.lower(), [f"{house.url}/ccip/{{sender}}/{{data}}.json"], CALLDATA


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with running_house(tmp_path_factory.mktemp("house"), overrides=ON, working=False) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_selectors() -> None:
    assert keccak256(b"query((address,string[],bytes)[])")[:4] == QUERY
    assert keccak256(b"HttpError(uint16,string)")[:4] == HTTP_ERROR


async def test_answers_and_failures_side_by_side(house: House) -> None:
    sender, urls, calldata = own(house)
    failures, responses = await ask(
        house,
        query(
            (sender, urls, calldata),
            (ANYBODY, urls, calldata),
            (sender, ["http://127.0.0.1:1/{sender}/{data}"], calldata),
            (sender, [], calldata),
            (sender, ["http://127.0.0.1:1/{sender}/{data}", *urls], calldata),
        ),
    )
    assert failures == [False, True, True, True, False]
    for response in (responses[0], responses[4]):
        result, expires, signature = decode(["bytes", "uint64", "bytes"], response)
        digest = answer_digest(EthAddress(sender), expires, calldata, result)
        assert recover(digest, signature) == load_signer(house.settings.ens.signer_key_file).address
    assert [why(each)[0] for each in responses[1:4]] == [404, 502, 403]


async def test_by_post(house: House) -> None:
    response = await house.http.post(f"{house.url}/ccip-batch", json={"sender": ANYBODY, "data": query(own(house))})
    failures, _ = decode(["bool[]", "bytes[]"], bytes.fromhex(response.json()["data"][2:]))
    assert failures == (False,)


async def test_an_empty_batch(house: House) -> None:
    assert await ask(house, query()) == ([], [])


async def test_no_batch_inside_a_batch(house: House) -> None:
    batch_url = f"{house.url}/ccip-batch/{{sender}}/{{data}}.json"
    inner = bytes.fromhex(query(own(house))[2:])
    hidden = f"{house.url}/ccip-batch/{ANYBODY}/0x{inner.hex()}.json?x={{data}}"
    failures, responses = await ask(house, query((ANYBODY, [batch_url], inner), (ANYBODY, [hidden], b"")))
    assert failures == [True, True]
    assert why(responses[0]) == (403, "a batch inside a batch")
    assert why(responses[1])[0] == 404


@pytest.mark.parametrize(
    "data",
    [
        "0x",
        "0x" + QUERY.hex(),
        "0x" + (QUERY + bytes(31)).hex(),
        "0x" + (QUERY + b"\xff" * 32).hex(),
        "0x" + (QUERY + encode(["uint256", "uint256"], [32, 2**255])).hex(),
        "0x" + (QUERY + encode(["uint256", "uint256", "uint256"], [32, 1, 2**200])).hex(),
        "0x" + CALLDATA.hex(),
        query(*[(ANYBODY, ["https://x.example/{data}"], b"")] * 17),
        query((ANYBODY, ["https://x.example/{data}"] * 5, b"")),
        query((ANYBODY, ["https://x.example/ü"], b"")),
    ],
)
async def test_what_is_refused_whole(house: House, data: str) -> None:
    response = await house.http.get(f"{house.url}/ccip-batch/{ANYBODY}/{data}.json")
    assert response.status_code == 400
    assert isinstance(response.json()["message"], str)
    with pytest.raises(InvalidInput):
        parse_query(bytes.fromhex(data[2:]))


async def test_it_is_off_unless_wanted(tmp_path: Path) -> None:
    async with running_house(tmp_path, working=False) as house:
        assert not house.settings.ens.batch_gateway
        for method, path in (("GET", f"/ccip-batch/{ANYBODY}/{query(own(house))}.json"), ("POST", "/ccip-batch")):
            response = await house.http.request(method, house.url + path)
            assert response.status_code == 404


async def test_addresses_inside_are_refused_in_production(tmp_path: Path) -> None:
    """Loopback, private networks, cloud metadata, plain http and other ports: nothing of this is connected to."""
    touched: list[Any] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        touched.append(scope["path"])

    overrides = {**ON, "DM3_GATEWAY__CHAIN__ALLOW_PRIVATE_GATEWAYS": "false"}
    async with serving(inside) as port, running_house(tmp_path, overrides=overrides, working=False) as house:
        urls = [
            f"http://127.0.0.1:{port}/{{data}}",
            f"https://127.0.0.1:{port}/{{data}}",
            "https://127.0.0.1/{data}",
            "https://localhost/{data}",
            "https://10.0.0.1/{data}",
            "https://192.168.1.1/{data}",
            "https://169.254.169.254/latest/meta-data?{data}",
            "https://[::1]/{data}",
            "https://[::ffff:127.0.0.1]/{data}",
            "https://2130706433/{data}",
            "https://user@127.0.0.1/{data}",
            "file:///etc/passwd?{data}",
            f"{house.url}/ccip/{{sender}}/{{data}}.json",
        ]
        failures, responses = await ask(house, query(*((ANYBODY, [url], CALLDATA) for url in urls)))
    assert failures == [True] * len(urls)
    assert {why(each)[0] for each in responses} == {403}
    assert touched == []


async def test_one_asker_has_a_rate(tmp_path: Path) -> None:
    overrides = {**ON, "DM3_GATEWAY__ENS__BATCH_CALLS_PER_MINUTE": "3"}
    async with running_house(tmp_path, overrides=overrides, working=False) as house:
        found = [await house.http.get(f"{house.url}/ccip-batch/{ANYBODY}/{query()}.json") for _ in range(5)]
        assert [each.status_code for each in found] == [200, 200, 200, 429, 429]
        assert found[-1].json()["message"]
        # The resolver itself is not meant.
        sender, (url,), calldata = own(house)
        asked = url.replace("{sender}", sender).replace("{data}", "0x" + calldata.hex())
        assert (await house.http.get(asked)).status_code == 200


async def test_slow_gateways_and_long_responses_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_RESPONSES", 50_000)

    async def server(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/slow"):
            await asyncio.sleep(30)
        body = b'{"data":"0x' + b"00" * 40_000 + b'"}'
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    async with serving(server) as port, GuardedClient(allow_private=True, timeout=30) as client:
        gateway = BatchGateway(CcipReader(Chain((), 1), client), seconds=3)
        urls = [f"http://127.0.0.1:{port}/{path}/{{data}}" for path in ("slow", "long", "long")]
        data = query(*((ANYBODY, [url], b"") for url in urls))
        answer = (await gateway.answer(EthAddress(ANYBODY), bytes.fromhex(data[2:]))).data
    failures, responses = decode(["bool[]", "bytes[]"], answer)
    assert failures == (True, False, True)
    assert why(responses[0])[0] == 504
    assert why(responses[2])[0] == 413
