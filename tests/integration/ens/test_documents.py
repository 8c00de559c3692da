"""Documents of records from real servers: hashes, identifiers, sizes, servers that lie."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator

import pytest

from gateway.dm3.profile import dm3_hash
from gateway.ens.documents import Documents
from gateway.ens.egress import GuardedClient
from gateway.errors import BadProfile, FetchFailed, FetchRefused
from tests.integration.ens.servers import Server, answering, response, scripted

DOCUMENT = {"b": "é", "a": [1, {"c": None}]}
TEXT = json.dumps(DOCUMENT, indent=1).encode()


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    """A client that may talk to this machine."""
    async with GuardedClient(allow_private=True, timeout=20) as opened:
        yield opened


def cid(codec: int, block: bytes) -> str:
    """Version 1, base32."""
    data = bytes((1, codec, 0x12, 0x20)) + hashlib.sha256(block).digest()
    return "b" + base64.b32encode(data).decode().rstrip("=").lower()


def unixfs(content: bytes) -> bytes:
    """The block of a small file."""
    size = bytes((len(content),))
    node = b"\x08\x02\x12" + size + content + b"\x18" + size
    return b"\x0a" + bytes((len(node),)) + node


@pytest.mark.parametrize(
    "uri",
    [
        'data:application/json,{"a":[1,{"c":null}],"b":"é"}',
        "data:application/json;base64," + base64.b64encode(TEXT).decode(),
        "DATA:application/json;charset=utf-8,%7B%22b%22%3A%22%C3%A9%22%2C%22a%22%3A%5B1%2C%7B%22c%22%3Anull%7D%5D%7D",
    ],
)
async def test_data(client: GuardedClient, uri: str) -> None:
    assert await Documents(client).read(uri) == DOCUMENT


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "{}",
        "hello",
        "ftp://example.org/profile",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:",
        "data:text/html,<p>",
        "data:application/json,[]",
        "data:application/json,{",
        'data:application/json,{"a":1,"a":2}',
        'data:application/json,{"a":NaN}',
        "data:application/json," + "[" * 5_000,
        'data:application/json,{"a":"' + "x" * 70_000 + '"}',
        "data:application/json;base64,e30",
        "data:application/json;base64,!!",
        "https://example.org/profile",
        "https://example.org/profile?dm3hash=0x" + "00" * 32,
        "ipfs://",
        "ipfs://../../etc",
    ],
)
async def test_records_that_hold_no_document(client: GuardedClient, uri: str) -> None:
    if uri == "data:application/json;base64,e30":
        assert await Documents(client).read(uri) == {}
        return
    with pytest.raises(BadProfile):
        await Documents(client).read(uri)


async def test_web(client: GuardedClient) -> None:
    async with scripted(answering(response(200, TEXT, "text/plain"))) as server:
        digest = dm3_hash(json.loads(TEXT))
        for spelling in (digest, digest[2:], digest.upper().replace("0X", "0x")):
            assert await Documents(client).read(server.url(f"/p.json?dm3Hash={spelling}")) == DOCUMENT
        assert server.asked[0].path == f"/p.json?dm3Hash={digest}"


@pytest.mark.attack(15)
async def test_a_server_that_changes_the_document(client: GuardedClient) -> None:
    async with scripted(answering(response(200, TEXT.replace(b"1", b"2")))) as server:
        for query in (f"dm3Hash={dm3_hash(json.loads(TEXT))}", "dm3Hash=", "dm3Hash=0x00", "xdm3Hash=" + "00" * 32):
            with pytest.raises(BadProfile):
                await Documents(client).read(server.url(f"/?{query}"))
        twice = f"dm3Hash={dm3_hash(json.loads(TEXT))}&dm3Hash={dm3_hash({'b': 'é', 'a': [2, {'c': None}]})}"
        with pytest.raises(BadProfile):
            await Documents(client).read(server.url(f"/?{twice}"))


@pytest.mark.attack(15)
async def test_nothing_on_the_web_is_believed_without_its_one_hash(
    client: GuardedClient, subtests: pytest.Subtests
) -> None:
    right, wrong = dm3_hash(json.loads(TEXT)), dm3_hash({})
    missing = ("", "?", f"?dm3hash={right}", f"#dm3Hash%3d{right}")
    bad = (
        "?dm3Hash",
        "?dm3Hash=",
        f"?dm3Hash={wrong}",
        f"?dm3Hash={right[:-1]}",
        f"?dm3Hash={right}0",
        f"?dm3Hash=%20{right}",
        f"#dm3Hash={right}",
        f"?dm3Hash={right}&dm3Hash={wrong}",
        f"?dm3Hash={wrong}&dm3Hash={right}",
        f"?dm3Hash={right}&dm3Hash={right}",
        f"?dm3Hash={right}&dm3%48ash={wrong}",
    )
    async with scripted(answering(response(200, TEXT))) as server:
        for query in missing:
            with subtests.test(query), pytest.raises(BadProfile):
                await Documents(client).read(server.url(f"/{query}"))
        assert server.asked == [], "a server that nothing holds to its word is not even asked"
        for query in bad:
            with subtests.test(query), pytest.raises(BadProfile):
                await Documents(client).read(server.url(f"/{query}"))
        assert await Documents(client).read(server.url(f"/?dm3Hash={right}")) == DOCUMENT


@pytest.mark.attack(15)
async def test_plain_http_is_refused_whatever_its_hash() -> None:
    async with GuardedClient() as strict:
        with pytest.raises(FetchRefused, match="only https"):
            await Documents(strict).read(f"http://example.org/?dm3Hash={dm3_hash(json.loads(TEXT))}")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (response(404, TEXT), BadProfile),
        (response(410), BadProfile),
        (response(429), FetchFailed),
        (response(500, TEXT), FetchFailed),
        (response(503), FetchFailed),
        (response(200, b"<html>"), BadProfile),
        (response(200, b"[]"), BadProfile),
        (response(200, b'{"a":"' + b"x" * 70_000 + b'"}'), FetchRefused),
    ],
)
async def test_servers_without_the_document(client: GuardedClient, answer: bytes, error: type[Exception]) -> None:
    async with scripted(answering(answer)) as server:
        with pytest.raises(error):
            await Documents(client).read(server.url("/?dm3Hash=0x" + "00" * 32))


async def test_documents_on_this_machine_are_refused_by_default() -> None:
    async with scripted(answering(response(200, TEXT))) as canary, GuardedClient() as strict:
        for url in (canary.url(), f"https://127.0.0.1:{canary.port}/", "https://localhost/"):
            with pytest.raises(FetchRefused):
                await Documents(strict).read(url + "?dm3Hash=" + dm3_hash(json.loads(TEXT)))
        assert canary.connections == 0


def gateways(*servers: Server) -> list[str]:
    return [server.url("/") for server in servers]


async def test_ipfs(client: GuardedClient) -> None:
    content = b'{"a":1}'
    async with scripted(answering(response(200, unixfs(content)))) as node:
        identifier = cid(0x70, unixfs(content))
        assert await Documents(client, gateways(node)).read(f"ipfs://{identifier}") == {"a": 1}
        assert node.asked[0].path == f"/ipfs/{identifier}?format=raw"
    async with scripted(answering(response(200, content))) as plain:
        documents = Documents(client, gateways(plain))
        assert await documents.read(f"ipfs://{cid(0x70, unixfs(content))}") == {"a": 1}
        assert await documents.read(f"ipfs://{cid(0x55, content)}") == {"a": 1}


@pytest.mark.weakness(12)
@pytest.mark.attack(16)
async def test_an_ipfs_gateway_that_lies(client: GuardedClient) -> None:
    content = b'{"a":1}'
    uri = f"ipfs://{cid(0x55, content)}"
    async with (
        scripted(answering(response(200, b'{"a":2}'))) as liar,
        scripted(answering(response(500))) as broken,
        scripted(answering(response(200, content))) as honest,
    ):
        assert await Documents(client, gateways(liar, broken, honest)).read(uri) == {"a": 1}
        assert [len(server.asked) for server in (liar, broken, honest)] == [1, 1, 1]
        with pytest.raises(FetchFailed):
            await Documents(client, gateways(liar, broken)).read(uri)
    with pytest.raises(FetchFailed, match="no IPFS gateway"):
        await Documents(client).read(uri)


@pytest.mark.attack(16)
async def test_no_path_leads_out_of_a_gateway(client: GuardedClient, subtests: pytest.Subtests) -> None:
    identifier = cid(0x55, b"{}")
    paths = (
        "../etc/passwd",
        f"../{identifier}",
        f"{identifier}/../..",
        f"{identifier}?a=b",
        f"{identifier}#",
        "%2e%2e",
    )
    async with scripted(answering(response(200, b"{}"))) as node:
        for path in paths:
            with subtests.test(path), pytest.raises(BadProfile):
                await Documents(client, gateways(node)).read(f"ipfs://{path}")
        assert node.asked == []


async def test_the_operators_ipfs_node_may_be_on_this_machine(client: GuardedClient) -> None:
    content = b'{"a":1}'
    uri = f"ipfs://{cid(0x55, content)}"
    async with scripted(answering(response(200, content))) as node, GuardedClient() as strict:
        assert await Documents(strict, gateways(node), client).read(uri) == {"a": 1}
        with pytest.raises(FetchFailed):
            await Documents(strict, gateways(node)).read(uri)
        assert node.connections == 1
