"""What a correct CCIP-read gateway does, line by line, over a socket: each test is one line of the list.

transport     sender, data, .json, GET, POST, content type, statuses, message, no redirects   (ERC-3668)
CORS          success, errors, preflight                                                      (ENSIP-22)
caching       below the life of the signature, none of errors
signing       digest, 65 bytes, low s, expiry                                                 (ERC-3668, EIP-2)
empties       each kind of record, unknown names, unknown calls
allow-list    contracts, zones
inner calls   the node is the name's, in each of several and in nested ones                   (ENSIP-10, ENSIP-22)
bounds        calls, depth, keys, calldata, bodies, results
coins         raw bytes, EVM chains, their default                                            (ENSIP-9, 11, 19)
names         DNS form                                                                        (ENSIP-10, ENSIP-15)
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from eth_abi.abi import decode, encode

from gateway.dm3.eth import keccak256, recover
from gateway.ens.names import dns_encode, namehash
from gateway.ids import EnsName, EthAddress
from gateway.resolver import calls
from gateway.resolver.endpoint import CCIP_PATH, CcipEndpoint
from gateway.resolver.records import NameRecords
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner
from gateway.resolver.sources import Fixed
from gateway.web.application import http_app
from gateway.web.direct import Direct
from tests.support.asgi import serving
from tests.unit.resolver import support

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.weakness(20)]

CONTRACT = "0x" + "ab" * 20
SIGNER = KeySigner.of(b"\x07" * 32)
TTL, SHORT_TTL = 300, 8
BOB, SHORT, NOBODY = "bob.gw.eth", "short.gw.eth", "nobody.gw.eth"
DEFAULT, BASE, OPTIMISM = 0x80000000, 0x80000000 | 8453, 0x80000000 | 10
SCRIPT = bytes.fromhex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac")
RECORDS = NameRecords(
    address=b"\x01" * 20,
    coins={0: SCRIPT, BASE: b"\x02" * 20, DEFAULT: b"\x03" * 20},
    texts={"url": "https://example.org", "long": "x" * 40_000},
    contenthash=bytes.fromhex("e301"),
    name="bob.gw.eth",
    pubkey=(b"\x04" * 32, b"\x05" * 32),
    abis={1: b"[]"},
    interfaces={b"\1\2\3\4": b"\x06" * 20},
    data={"agent": b"\0\xff"},
)
ADDR = support.resolve(BOB, support.addr(BOB))
EVERY_KIND = (
    *(support.addr, support.contenthash, support.name, support.pubkey),
    lambda name: support.coin(name, 60),
    lambda name: support.text(name, "url"),
    lambda name: support.contract_abi(name, 1),
    lambda name: support.interface(name, b"\1\2\3\4"),
    lambda name: support.data(name, "agent"),
)


class Client:
    """Asks the endpoint."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def get(self, data: bytes | str, sender: str = CONTRACT, ending: str = ".json") -> httpx2.Response:
        text = data if isinstance(data, str) else "0x" + data.hex()
        return await self.http.get(f"/ccip/{sender}/{text}{ending}")

    async def signed(self, calldata: bytes) -> tuple[bytes, int, bytes]:
        """Result, expiry and signature."""
        response = await self.get(calldata)
        assert response.status_code == 200, response.text
        found: Any = decode(["bytes", "uint64", "bytes"], bytes.fromhex(response.json()["data"][2:]))
        return found  # type: ignore[no-any-return]

    async def result(self, name: str, inner: bytes, *types: str) -> Any:
        """What a call about ``name`` returns, decoded."""
        result, _, _ = await self.signed(support.resolve(name, inner))
        return decode(types, result) if types else result

    async def refused(self, calldata: bytes, status: int = 400) -> None:
        response = await self.get(calldata)
        assert response.status_code == status, response.text
        assert isinstance(response.json()["message"], str)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[Client]:
    source = Fixed({EnsName(BOB): RECORDS, EnsName(SHORT): NameRecords(texts={"url": "x"}, ttl=SHORT_TTL)})
    resolver = Resolver([source], SIGNER, [EthAddress(CONTRACT)], TTL, [EnsName("gw.eth")])
    app = Direct(http_app([], []), {}, {CCIP_PATH: CcipEndpoint(resolver)})
    async with (
        serving(app) as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http,
    ):
        yield Client(http)


class TestTransport:
    @pytest.mark.parametrize("sender", [CONTRACT, "0x" + "AB" * 20, "0X" + "Ab" * 20])
    async def test_sender_in_any_case(self, client: Client, sender: str) -> None:
        assert (await client.get(ADDR, sender)).status_code == 200

    @pytest.mark.parametrize("data", ["0x" + ADDR.hex(), "0x" + ADDR.hex().upper(), "0X" + ADDR.hex()])
    @pytest.mark.parametrize("ending", [".json", ""])
    async def test_data_in_any_case_with_and_without_ending(self, client: Client, data: str, ending: str) -> None:
        assert (await client.get(data, ending=ending)).status_code == 200

    @pytest.mark.parametrize("path", ["/ccip", "/ccip/"])
    async def test_post(self, client: Client, path: str) -> None:
        response = await client.http.post(path, json={"data": "0x" + ADDR.hex(), "sender": CONTRACT})
        assert response.status_code == 200
        assert response.json()["data"].startswith("0x")

    async def test_content_type_is_exactly_json_also_of_errors(self, client: Client) -> None:
        for data in (ADDR, b"\0"):
            assert (await client.get(data)).headers["content-type"] == "application/json"

    @pytest.mark.parametrize("data", ["0x", "0x0", "0xzz", "x", "0x " + ADDR.hex(), ADDR.hex()])
    async def test_bad_data_is_400(self, client: Client, data: str) -> None:
        """Blanks inside hex too, which Python would skip."""
        assert (await client.get(data)).status_code == 400

    async def test_bytes_behind_the_arguments_are_no_fault(self, client: Client) -> None:
        """Decoders of contracts take them as well, and they are signed with the rest."""
        assert (await client.get(ADDR + b"\0")).status_code == 200

    async def test_unknown_sender_is_404_with_a_message(self, client: Client) -> None:
        response = await client.get(ADDR, "0x" + "cd" * 20)
        assert response.status_code == 404
        assert isinstance(response.json()["message"], str)

    async def test_no_redirects(self, client: Client) -> None:
        asked = [
            ("POST", "/ccip"),
            ("POST", "/ccip/"),
            ("GET", "/ccip"),
            ("GET", "/ccip/"),
            ("GET", f"/ccip/{CONTRACT}"),
        ]
        for method, path in asked:
            response = await client.http.request(method, path)
            assert 400 <= response.status_code < 500, path


class TestCors:
    async def test_on_success(self, client: Client) -> None:
        assert (await client.get(ADDR)).headers["access-control-allow-origin"] == "*"

    @pytest.mark.parametrize("status", [400, 404, 405, 413])
    async def test_on_errors(self, client: Client, status: int) -> None:
        response = {
            400: await client.get("0x00"),
            404: await client.get(ADDR, "0x" + "cd" * 20),
            405: await client.http.put("/ccip"),
            413: await client.http.post("/ccip", content=b"x" * 100_000),
        }[status]
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == "*"
        assert isinstance(response.json()["message"], str)

    async def test_preflight_of_a_post(self, client: Client) -> None:
        headers = {
            "origin": "https://wallet.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        response = await client.http.options("/ccip", headers=headers)
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == "*"
        assert "POST" in response.headers["access-control-allow-methods"]
        assert "content-type" in response.headers["access-control-allow-headers"]


class TestCaching:
    @pytest.mark.parametrize("name", [BOB, SHORT, NOBODY])
    async def test_ends_before_the_signature_does(self, client: Client, name: str) -> None:
        asked = time.time()
        response = await client.get(support.resolve(name, support.addr(name)))
        max_age = int(response.headers["cache-control"].removeprefix("public, max-age="))
        _, expires, _ = decode(["bytes", "uint64", "bytes"], bytes.fromhex(response.json()["data"][2:]))
        assert 0 < max_age < expires - asked - 1

    async def test_errors_are_not_kept(self, client: Client) -> None:
        for response in (await client.get("0x00"), await client.get(ADDR, "0x" + "cd" * 20)):
            assert response.headers["cache-control"] == "no-store"


class TestSigning:
    async def test_digest_and_65_byte_signature(self, client: Client) -> None:
        result, expires, signature = await client.signed(ADDR)
        packed = b"\x19\x00" + bytes.fromhex(CONTRACT[2:]) + expires.to_bytes(8, "big")
        digest = keccak256(packed + keccak256(ADDR) + keccak256(result))
        assert (len(signature), signature[64] in (27, 28)) == (65, True)
        assert int.from_bytes(signature[32:64], "big") < 2**255
        assert recover(digest, signature) == SIGNER.address

    async def test_the_request_that_is_signed_is_the_whole_outer_call(self, client: Client) -> None:
        _, expires, signature = await client.signed(ADDR)
        result, _, _ = await client.signed(ADDR)
        packed = b"\x19\x00" + bytes.fromhex(CONTRACT[2:]) + expires.to_bytes(8, "big")
        assert recover(keccak256(packed + keccak256(ADDR[4:]) + keccak256(result)), signature) != SIGNER.address

    async def test_expiry(self, client: Client) -> None:
        for data, ttl in ((ADDR, TTL), (support.resolve(SHORT, support.addr(SHORT)), SHORT_TTL)):
            asked = time.time()
            _, expires, _ = await client.signed(data)
            assert asked + ttl - 5 <= expires <= time.time() + ttl


class TestEmpties:
    """Signed, as a public resolver would give them."""

    @pytest.mark.parametrize("name", [NOBODY, SHORT, "a.b.nobody.gw.eth", "gw.eth"])
    async def test_of_each_kind(self, client: Client, name: str) -> None:
        assert await client.result(name, support.addr(name)) == bytes(32)
        assert await client.result(name, support.coin(name, 60), "bytes") == (b"",)
        assert await client.result(name, support.coin(name, 0), "bytes") == (b"",)
        assert await client.result(name, support.text(name, "none"), "string") == ("",)
        assert await client.result(name, support.contenthash(name), "bytes") == (b"",)
        assert await client.result(name, support.name(name), "string") == ("",)
        assert await client.result(name, support.pubkey(name), "bytes32", "bytes32") == (bytes(32), bytes(32))
        assert await client.result(name, support.contract_abi(name, 15), "uint256", "bytes") == (0, b"")
        assert await client.result(name, support.interface(name, b"\1\2\3\4")) == bytes(32)
        assert await client.result(name, support.data(name, "none"), "bytes") == (b"",)

    async def test_of_a_profile_that_is_not_served(self, client: Client) -> None:
        assert await client.result(BOB, b"\xde\xad\xbe\xef" + bytes(32)) == b""


class TestAllowList:
    async def test_contracts(self, client: Client) -> None:
        assert (await client.get(ADDR, "0x" + "00" * 20)).status_code == 404

    @pytest.mark.parametrize("name", ["eth", "bob.eth", "xgw.eth", "bob.gw.eth.evil.eth"])
    async def test_names_of_others(self, client: Client, name: str) -> None:
        await client.refused(support.resolve(name, support.addr(name)), 404)


class TestInnerCalls:
    @pytest.mark.parametrize("kind", range(len(EVERY_KIND)))
    @pytest.mark.parametrize("depth", [0, 1, 2])
    async def test_the_node_is_that_of_the_name(self, client: Client, kind: int, depth: int) -> None:
        """Alone, as the second of a multicall, and inside a nested one."""
        own, foreign = EVERY_KIND[kind](BOB), EVERY_KIND[kind](SHORT)
        for _ in range(depth):
            own, foreign = support.multicall([own]), support.multicall([support.addr(BOB), foreign])
        assert (await client.get(support.resolve(BOB, own))).status_code == 200
        await client.refused(support.resolve(BOB, foreign))

    async def test_all_kinds_in_one_signature(self, client: Client) -> None:
        inner = [kind(BOB) for kind in EVERY_KIND]
        (together,) = await client.result(BOB, support.multicall(inner), "bytes[]")
        assert list(together) == [await client.result(BOB, each) for each in inner]


class TestBounds:
    async def test_calls(self, client: Client) -> None:
        assert (await client.get(support.resolve(BOB, support.multicall([support.addr(BOB)] * 63)))).status_code == 200
        await client.refused(support.resolve(BOB, support.multicall([support.addr(BOB)] * 64)))
        nested = support.multicall([support.multicall([support.addr(BOB)] * 9)] * 7)
        await client.refused(support.resolve(BOB, nested))

    async def test_depth(self, client: Client) -> None:
        two = support.multicall([support.multicall([support.addr(BOB)])])
        assert (await client.get(support.resolve(BOB, two))).status_code == 200
        await client.refused(support.resolve(BOB, support.multicall([two])))

    @pytest.mark.parametrize("kind", [support.text, support.data])
    async def test_keys(self, client: Client, kind: Any) -> None:
        assert (await client.get(support.resolve(BOB, kind(BOB, "k" * 1024)))).status_code == 200
        await client.refused(support.resolve(BOB, kind(BOB, "k" * 1025)))

    async def test_calldata_and_bodies(self, client: Client) -> None:
        # A server's own bound on the length of a URL may come first.
        await client.refused(calls.RESOLVE + bytes(20_000))
        data = "0x" + "00" * (calls.MAX_CALLDATA + 1)
        assert (await client.http.post("/ccip", json={"sender": CONTRACT, "data": data})).status_code == 413
        assert (await client.http.post("/ccip", content=b"{" * 100_000)).status_code == 413

    async def test_results(self, client: Client) -> None:
        twice = support.multicall([support.text(BOB, "long")] * 2)
        await client.refused(support.resolve(BOB, twice))


class TestCoins:
    @pytest.mark.parametrize(
        ("coin", "expected"),
        [
            (0, SCRIPT),
            (60, b"\x01" * 20),
            (BASE, b"\x02" * 20),
            (OPTIMISM, b"\x03" * 20),
            (DEFAULT, b"\x03" * 20),
            (2, b""),
            (2 * DEFAULT, b""),
            (2**256 - 1, b""),
        ],
    )
    async def test_coin(self, client: Client, coin: int, expected: bytes) -> None:
        """Raw bytes; an EVM chain without an address of its own has that of coin 0x80000000, others have none."""
        assert await client.result(BOB, support.coin(BOB, coin), "bytes") == (expected,)

    async def test_addr_is_coin_60(self, client: Client) -> None:
        assert await client.result(BOB, support.addr(BOB)) == bytes(12) + b"\x01" * 20


class TestNames:
    @pytest.mark.parametrize(
        "wire",
        [
            b"",
            b"\0",
            b"\x03bob\x02gw\x03eth",
            b"\x03bob\x02gw\x03eth\0\0",
            b"\x03bob\x02gw\x04eth\0",
            b"\x06bob.gw\x03eth\0",
            b"\x04bo\0b\x02gw\x03eth\0",
            b"\x03b\xffb\x02gw\x03eth\0",
            b"\x03BOB\x02gw\x03eth\0",
            b"\xff" + b"a" * 254,
        ],
    )
    async def test_dns_forms_that_are_refused(self, client: Client, wire: bytes) -> None:
        """Unterminated, root, trailing, overrun, dot, NUL, no UTF-8, not in normal form."""
        node = namehash(EnsName(BOB))
        await client.refused(calls.RESOLVE + encode(["bytes", "bytes"], [wire, calls.ADDR + node]))

    @pytest.mark.parametrize("label", ["x" * 64, "x" * 240, "ξένος", "💩"])
    async def test_labels_longer_than_those_of_dns_and_unicode(self, client: Client, label: str) -> None:
        name = EnsName(f"{label}.gw.eth")
        assert dns_encode(name)[0] == len(label.encode())
        assert await client.result(name, support.addr(name)) == bytes(32)
