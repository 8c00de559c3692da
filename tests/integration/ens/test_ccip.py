"""The ERC-3668 client against gateways that misbehave and contracts that lie; the real way is in test_lookup."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest
from eth_abi.abi import encode

from gateway.ens.ccip import OFFCHAIN_LOOKUP, CcipReader, OffchainLookup, parse_offchain_lookup
from gateway.ens.chain import CallReverted, Chain
from gateway.ens.egress import GuardedClient
from gateway.errors import FetchFailed, FetchRefused, GatewayError, InvalidInput, UnknownName
from gateway.ids import EthAddress
from tests.integration.ens.rpc import reverting, rpc
from tests.integration.ens.servers import Asked, Script, Server, ShortClient, answering, response, scripted, silence

CONTRACT = EthAddress("0x" + "ab" * 20)
CALLBACK = bytes.fromhex("b4a85801")
GOOD = response(200, b'{"data":"0x1234"}')


def lookup_error(urls: Sequence[str], sender: EthAddress = CONTRACT, calldata: bytes = b"\x01\x02") -> bytes:
    """Revert data of an OffchainLookup, by a general codec."""
    arguments = ["address", "string[]", "bytes", "bytes4", "bytes"]
    return OFFCHAIN_LOOKUP + encode(arguments, [sender, list(urls), calldata, CALLBACK, b"extra"])


def contract(error: bytes, answer: str = "0xbeef") -> tuple[Script, list[str]]:
    """A node with one contract, which reverts with ``error`` until its callback is called; and the calls it saw."""
    seen: list[str] = []

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        request = json.loads(asked.body)
        if request["method"] == "eth_call":
            seen.append(request["params"][0]["data"])
            finished = seen[-1].startswith("0x" + CALLBACK.hex())
            await rpc(eth_call=answer if finished else reverting(error))(asked, writer)
        else:
            await rpc()(asked, writer)

    return script, seen


async def read(node: Server, client: GuardedClient) -> bytes:
    """One call of the contract."""
    chain = Chain([node.url()], 31337, timeout=30)
    try:
        return await CcipReader(chain, client).call(CONTRACT, b"\xaa\xbb\xcc\xdd")
    finally:
        await chain.close()


async def read_through(*urls: str, client: GuardedClient | None = None) -> bytes:
    """One call of a contract that sends to ``urls``."""
    script, _ = contract(lookup_error(urls))
    async with scripted(script) as node, client or GuardedClient(allow_private=True, timeout=30) as fetching:
        return await read(node, fetching)


async def test_the_whole_way() -> None:
    async with scripted(answering(GOOD)) as gateway:
        script, seen = contract(lookup_error([gateway.url("/{sender}/{data}.json")]))
        async with scripted(script) as node, GuardedClient(allow_private=True, timeout=30) as client:
            assert await read(node, client) == b"\xbe\xef"
    assert gateway.asked[0].method == "GET"
    assert gateway.asked[0].path == f"/{CONTRACT}/0x0102.json"
    callback = CALLBACK + encode(["bytes", "bytes"], [b"\x12\x34", b"extra"])
    assert seen == ["0xaabbccdd", "0x" + callback.hex()]


@pytest.mark.parametrize("template", ["/ccip", "/ccip/{sender}"])
async def test_a_url_without_data_is_posted_to(template: str) -> None:
    async with scripted(answering(GOOD)) as gateway:
        assert await read_through(gateway.url(template)) == b"\xbe\xef"
    assert gateway.asked[0].method == "POST"
    assert gateway.asked[0].path == template.replace("{sender}", CONTRACT)
    assert json.loads(gateway.asked[0].body) == {"data": "0x0102", "sender": CONTRACT}


BAD_GATEWAYS: list[Script] = [
    silence,
    answering(response(500, b'{"message":"down"}')),
    answering(response(503)),
    answering(response(204)),
    answering(response(200, b"")),
    answering(response(200, b"{}")),
    answering(response(200, b"[]")),
    answering(response(200, b'{"data":1}')),
    answering(response(200, b'{"data":"1234"}')),
    answering(response(200, b'{"data":"0x123"}')),
    answering(response(200, b'{"data":"0x12 34"}')),
    answering(response(200, b'{"data":"0xzz"}')),
    answering(response(200, b"0x1234", "text/plain")),
    answering(response(200, b"\xff")),
    answering(response(302, b"", "text/plain", ("Location", "/elsewhere"))),
    answering(response(200, b'{"data":"0x' + b"00" * 300_000 + b'"}')),
]


@pytest.mark.parametrize("bad", BAD_GATEWAYS)
async def test_the_next_gateway_is_asked(bad: Script) -> None:
    async with scripted(bad) as first, scripted(answering(GOOD)) as second:
        client = ShortClient(*([first] if bad is silence else []))
        assert await read_through(first.url("/{data}"), second.url("/{data}"), client=client) == b"\xbe\xef"
        assert (len(first.asked), len(second.asked)) == (1, 1)
        with pytest.raises((FetchFailed, FetchRefused)):
            await read_through(first.url("/{data}"), client=ShortClient(first, seconds=0.4))


@pytest.mark.parametrize("status", [400, 404, 410, 429])
async def test_a_gateway_that_is_sure_ends_the_search(status: int) -> None:
    async with scripted(answering(response(status, b'{"message":"no"}'))) as first, scripted(silence) as second:
        with pytest.raises(UnknownName):
            await read_through(first.url("/{data}"), second.url("/{data}"))
        assert second.asked == []


async def test_a_gateway_that_must_not_be_asked_is_passed_over() -> None:
    async with scripted(answering(GOOD)) as gateway:
        bad = ["http://169.254.169.254/{data}", "ftp://x/{data}", "https://user@example.org/{data}", "no url"]
        assert await read_through(*bad, gateway.url("/{data}")) == b"\xbe\xef"


@pytest.mark.weakness(12)
@pytest.mark.attack(18)
async def test_this_machine_is_no_gateway_for_strangers() -> None:
    """Neither by a URL with data, which is fetched, nor by one without, which is posted to."""
    async with scripted(answering(GOOD)) as canary:
        here = f"https://127.0.0.1:{canary.port}"
        for urls in ([canary.url("/{data}")], [f"{here}/{{data}}", "https://localhost/"], [here], [canary.url()]):
            with pytest.raises(FetchRefused):
                await read_through(*urls, client=GuardedClient())
        assert canary.connections == 0


async def test_an_outage_is_reported_before_a_refusal() -> None:
    """Somebody may try again later when one of the gateways could answer then."""
    async with scripted(answering(response(503))) as down:
        for urls in ([down.url("/{data}"), "ftp://x"], ["ftp://x", down.url("/{data}")]):
            with pytest.raises(FetchFailed):
                await read_through(*urls)


async def test_no_gateway_at_all() -> None:
    with pytest.raises(FetchRefused):
        await read_through()


@pytest.mark.weakness(12)
@pytest.mark.attack(18)
async def test_a_contract_that_never_ends() -> None:
    async with scripted(answering(GOOD)) as gateway:
        endless = rpc(eth_call=reverting(lookup_error([gateway.url("/{data}")])))
        async with scripted(endless) as node, GuardedClient(allow_private=True, timeout=30) as client:
            with pytest.raises(FetchFailed, match="4 look-ups"):
                await read(node, client)
        assert len(gateway.asked) == 4


@pytest.mark.weakness(12)
@pytest.mark.attack(18)
async def test_gateways_that_are_slow_together_have_one_bound() -> None:
    async with scripted(silence) as slow:
        script, _ = contract(lookup_error([slow.url("/{data}")] * 8))
        async with scripted(script) as node, GuardedClient(allow_private=True, timeout=30) as client:
            chain = Chain([node.url()], 31337, timeout=30)
            await chain.check_chain_id()  # loads web3
            with pytest.raises(FetchFailed, match=r"within 3 s"):
                await CcipReader(chain, client, seconds=3).call(CONTRACT, b"\xaa\xbb\xcc\xdd")
            await chain.close()
    assert len(slow.asked) == 1


async def test_a_callback_that_refuses() -> None:
    calls = 0

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        if json.loads(asked.body)["method"] != "eth_call":
            await rpc()(asked, writer)
            return
        calls += 1
        error = lookup_error([gateway.url("/{data}")]) if calls == 1 else b"\x08\xc3\x79\xa0"
        await rpc(eth_call=reverting(error))(asked, writer)

    async with (
        scripted(answering(GOOD)) as gateway,
        scripted(script) as node,
        GuardedClient(allow_private=True, timeout=30) as client,
    ):
        with pytest.raises(FetchFailed, match="refused"):
            await read(node, client)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (b"", CallReverted),
        (b"\x08\xc3\x79\xa0", CallReverted),
        (lookup_error(["https://example.org/"], EthAddress("0x" + "cd" * 20)), FetchRefused),
        (lookup_error(["https://example.org/"])[:100], FetchRefused),
        (OFFCHAIN_LOOKUP, FetchRefused),
        (lookup_error(["https://example.org/"] * 9), FetchRefused),
        (lookup_error(["https://exämple.org/"]), FetchRefused),
        (lookup_error(["https://example.org/"], calldata=bytes(70_000)), FetchRefused),
    ],
)
async def test_reverts(error: bytes, raised: type[Exception]) -> None:
    async with (
        scripted(rpc(eth_call=reverting(error))) as node,
        GuardedClient(allow_private=True, timeout=30) as client,
    ):
        with pytest.raises(raised):
            await read(node, client)


def test_reading_an_offchain_lookup() -> None:
    assert parse_offchain_lookup(lookup_error(["https://a/{data}", "https://b"])) == OffchainLookup(
        CONTRACT, ("https://a/{data}", "https://b"), b"\x01\x02", CALLBACK, b"extra"
    )
    assert parse_offchain_lookup(b"\x08\xc3\x79\xa0") is None
    assert parse_offchain_lookup(b"") is None


def test_any_bent_lookup_is_read_or_refused() -> None:
    data = lookup_error(["https://example.org/{sender}/{data}.json"])
    read_count = refused = 0
    benders: list[Callable[[int], bytes]] = [
        lambda at: data[:at],
        lambda at: data[:at] + b"\xff" + data[at + 1 :],
        lambda at: data[:at] + b"\x00" + data[at + 1 :],
    ]
    for at in range(4, len(data)):
        for bend in benders:
            try:
                parse_offchain_lookup(bend(at))
                read_count += 1
            except InvalidInput:
                refused += 1
    assert read_count > 100
    assert refused > 100
    assert issubclass(InvalidInput, GatewayError)
