"""The chain client against a real chain, and against endpoints that fail in every way."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator
from subprocess import run

import pytest
import pytest_asyncio

from gateway.demo.chain import RunningChain, running_chain
from gateway.dm3.eth import keccak256
from gateway.ens.chain import CallReverted, Chain, _Web3Wire
from gateway.errors import ChainUnavailable, ConfigError
from gateway.ids import EthAddress
from tests.integration.ens.rpc import raw, rpc, short_with
from tests.integration.ens.servers import Asked, Script, response, scripted, silence

NOBODY = EthAddress("0x" + "99" * 20)


def wire_of(chain: Chain) -> _Web3Wire:
    """The way of the only endpoint."""
    (endpoint,) = chain._endpoints
    assert isinstance(endpoint.wire, _Web3Wire)
    return endpoint.wire


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[RunningChain]:
    """A real chain."""
    async with running_chain() as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
async def test_reading_a_real_chain(world: RunningChain) -> None:
    chain = Chain([world.url], world.chain_id, timeout=30)
    try:
        await chain.check_chain_id()
        root = world.accounts["root"].address
        assert await chain.balance(root) > 0
        assert await chain.balance(NOBODY) == 0
        assert await chain.transaction_count(root) > 0
        assert await chain.block_number() > 0
        assert len(await chain.code(world.registry)) > 100
        assert await chain.code(NOBODY) == b""
        assert await chain.eth_call(NOBODY, b"\x01\x02\x03\x04") == b""
        owner = keccak256(b"owner(bytes32)")[:4] + bytes(32)
        assert await chain.eth_call(world.registry, owner) == bytes(12) + bytes.fromhex(root[2:])
        with pytest.raises(CallReverted):
            await chain.eth_call(world.registry, b"\xde\xad\xbe\xef")
    finally:
        await chain.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_chain_opens_again_after_it_was_closed(world: RunningChain) -> None:
    chain = Chain([world.url], world.chain_id, timeout=30)
    first = await chain.block_number()
    await chain.close()
    assert await chain.block_number() == first
    await chain.close()


@pytest.mark.parametrize(
    ("error", "data"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0x08c379a0"}, "08c379a0"),
        ({"code": 3, "message": "execution reverted: no"}, ""),
        ({"code": -32000, "message": "execution reverted"}, ""),
        ({"code": -32015, "message": "VM execution error.", "data": "Reverted 0x556f1830"}, "556f1830"),
        ({"code": -32603, "message": "Internal", "data": {"message": "reverted", "data": "0x556f1830"}}, "556f1830"),
        ({"code": -32000, "message": "vm error", "data": {"result": "0x01"}}, "01"),
        ({"code": -32000, "message": "invalid opcode: INVALID"}, ""),
        ({"code": -32000, "message": "out of gas"}, ""),
    ],
)
async def test_refusals_as_nodes_word_them(error: dict[str, object], data: str) -> None:
    async with scripted(rpc(eth_call={"error": error})) as server:
        chain = Chain([server.url()], 31337, timeout=30)
        with pytest.raises(CallReverted) as caught:
            await chain.eth_call(NOBODY, b"")
        assert caught.value.data.hex() == data
        await chain.close()


async def test_a_result_that_is_too_long_to_read_is_a_refusal_and_its_node_does_not_rest() -> None:
    async with scripted(rpc(eth_call="0x" + "00" * (2**20 + 1))) as server, scripted(rpc()) as other:
        chain = Chain([server.url(), other.url()], 31337, timeout=30)
        for _ in range(2):
            with pytest.raises(CallReverted) as caught:
                await chain.eth_call(NOBODY, b"")
            assert caught.value.data == b""
        await chain.close()
        assert not other.asked


FAULTS: list[Script] = [
    silence,
    rpc(eth_call={"error": {"code": -32005, "message": "limit exceeded"}}),
    rpc(eth_call={"error": {"code": -32601, "message": "no such method"}}),
    rpc(eth_call={"error": "broken"}),
    rpc(eth_call={}),
    rpc(eth_call=None),
    rpc(eth_call=7),
    rpc(eth_call="0x0"),
    rpc(eth_call="0xzz"),
    rpc(eth_call="hello"),
    rpc(eth_call=["0x"]),
    rpc(eth_chainId="0x1"),
    rpc(eth_chainId="0x"),
    rpc(eth_chainId=None),
    raw(response(200, b"<html>", "text/html")),
    raw(response(200, b"[]")),
    raw(response(200, b"null")),
    raw(response(200, b"\xff\xfe")),
    raw(response(429, b"{}")),
    raw(response(500, b"{}")),
    raw(b"garbage\r\n\r\n"),
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_endpoint_that_fails_is_replaced_by_the_next(fault: Script) -> None:
    async with scripted(fault) as bad, scripted(rpc(eth_call="0x1234")) as good:
        # Long enough for the silent one to be asked.
        chain = short_with(Chain([bad.url("/secret-key"), good.url()], 31337, timeout=30), 0, seconds=2)
        assert await chain.eth_call(NOBODY, b"") == b"\x12\x34"
        before = len(bad.asked)
        assert before >= 1
        assert await chain.eth_call(NOBODY, b"") == b"\x12\x34"
        assert len(bad.asked) == before, "an endpoint that failed rests"
        await chain.close()
        alone = Chain([bad.url("/secret-key")], 31337, timeout=0.3)
        with pytest.raises(ChainUnavailable) as caught:
            await alone.eth_call(NOBODY, b"")
        assert "secret-key" not in caught.value.detail
        await alone.close()


async def test_an_endpoint_is_asked_first_again_after_its_rest() -> None:
    now = 0.0
    failing = True

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (raw(response(500)) if failing else rpc(eth_blockNumber="0x1"))(asked, writer)

    async with scripted(script) as first, scripted(rpc(eth_blockNumber="0x2")) as second:
        chain = Chain([first.url(), second.url()], 31337, timeout=30, rest=10, clock=lambda: now)
        assert await chain.block_number() == 2
        failing = False
        assert await chain.block_number() == 2
        now = 10.1
        assert await chain.block_number() == 1
        await chain.close()


async def test_resting_endpoints_are_asked_when_there_is_no_other() -> None:
    failing = True

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (raw(response(500)) if failing else rpc(eth_blockNumber="0x1"))(asked, writer)

    async with scripted(script) as only:
        chain = Chain([only.url()], 31337, timeout=30)
        with pytest.raises(ChainUnavailable):
            await chain.block_number()
        failing = False
        assert await chain.block_number() == 1
        await chain.close()


@pytest.mark.attack(39)
async def test_the_check_at_the_start() -> None:
    async with scripted(rpc()) as good, scripted(rpc(eth_chainId="0x1")) as wrong, scripted(silence) as mute:
        for urls, error in (
            ([good.url(), wrong.url()], ConfigError),
            ([wrong.url()], ConfigError),
            ([mute.url()], ChainUnavailable),
            ([], ChainUnavailable),
        ):
            chain = Chain(urls, 31337, timeout=0.3 if urls == [mute.url()] else 30)
            with pytest.raises(error):
                await chain.check_chain_id()
            await chain.close()
        chain = short_with(Chain([mute.url(), good.url()], 31337, timeout=30), 0)
        await chain.check_chain_id()
        await chain.close()


async def test_connections_are_kept() -> None:
    async with scripted(rpc(eth_blockNumber="0x1")) as server:
        chain = Chain([server.url()], 31337, timeout=30)
        for _ in range(10):
            await chain.block_number()
        assert (server.connections, len(server.asked)) == (1, 11)
        await chain.close()


async def test_calls_that_are_cancelled_do_not_hold_up_later_ones() -> None:
    """web3's lock is of the whole process: left taken by one cancelled call, it would stop every chain client."""
    from web3._utils.http_session_manager import HTTPSessionManager

    released = asyncio.Event()

    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if json.loads(asked.body)["method"] == "eth_getBalance":
            await released.wait()
        await rpc(eth_blockNumber="0x1", eth_getBalance="0x2")(asked, writer)

    async with scripted(slow) as server:
        chain = Chain([server.url()], 31337, timeout=30)
        assert await chain.block_number() == 1
        # Somebody else holds the lock: all calls wait for it when they are cancelled.
        HTTPSessionManager._lock.acquire()
        calls = [asyncio.create_task(chain.balance(NOBODY)) for _ in range(40)]
        provider = wire_of(chain).provider
        assert provider is not None
        waiting = provider._request_session_manager.session_pool._work_queue
        while waiting.qsize() < len(calls) - 5:  # noqa: ASYNC110 - a queue of threads has no event
            await asyncio.sleep(0.01)
        for call in calls[:20]:
            call.cancel()
        await asyncio.gather(*calls[:20], return_exceptions=True)
        HTTPSessionManager._lock.release()
        await asyncio.sleep(0)
        for call in calls[20:]:
            call.cancel()
        assert all(
            isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*calls, return_exceptions=True)
        )
        released.set()
        assert await chain.block_number() == 1
        await chain.close()
        assert not HTTPSessionManager._lock.locked()


async def test_closing_waits_for_calls_that_nobody_waits_for() -> None:
    released = asyncio.Event()

    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        await rpc(eth_blockNumber="0x1")(asked, writer)

    async with scripted(slow) as server:
        chain = Chain([server.url()], 31337, timeout=30)
        call = asyncio.create_task(chain.block_number())
        while not server.asked:  # noqa: ASYNC110 - the server has a list only
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        closing = asyncio.create_task(chain.close())
        done, _ = await asyncio.wait({closing}, timeout=0.1)
        assert not done
        released.set()
        await closing
        assert not wire_of(chain).under_way


async def test_closing_finds_the_connections_of_a_question_that_was_cancelled_while_they_were_made() -> None:
    from aiohttp import ClientSession

    async with scripted(rpc(eth_blockNumber="0x1")) as server:
        chain = Chain([server.url()], 31337, timeout=30)
        call = asyncio.create_task(chain.block_number())
        while not wire_of(chain).under_way:  # noqa: ASYNC110 - a set has no event
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await chain.close()
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, ClientSession) and not each.closed]


def test_web3_is_loaded_by_the_first_question_only() -> None:
    code = (
        "import sys; from gateway.ens.chain import Chain; from gateway.ens.lookup import Ens;"
        "Chain(['http://127.0.0.1:1'], 1); assert not {'web3', 'aiohttp', 'eth_abi'} & set(sys.modules)"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
