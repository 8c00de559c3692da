"""Holdings over sockets: how many requests a question makes, and nodes that are slow, silent or without batches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from gateway.dm3.sender_rules import SenderRules, Stake, TokenBalance, TokenOwnership, TokenStandard
from gateway.ens.chain import Chain
from gateway.ens.holdings import HoldingLimits, Holdings
from gateway.errors import ChainUnavailable
from gateway.ids import EthAddress
from tests.integration.ens.rpc import rpc, short_with
from tests.integration.ens.servers import Asked, Script, Server, response, scripted, silence

ALICE, COIN = EthAddress("0x" + "a1" * 20), EthAddress("0x" + "c0" * 20)
RICH = SenderRules(min_balance=100)
EVERYTHING = SenderRules(
    min_nonce=1,
    min_balance=100,
    min_token_balance=TokenBalance(COIN, 100),
    owns_token=tuple(TokenOwnership(TokenStandard.ERC1155, COIN, number) for number in range(8)),
    min_stake=Stake(COIN, 100),
)
HONEST = rpc(
    eth_getBlockByNumber={"number": "0x10"},
    eth_getBalance="0x64",
    eth_getTransactionCount="0x64",
    eth_call="0x" + (100).to_bytes(32, "big").hex(),
)


@asynccontextmanager
async def asking(
    *servers: Server, patience: float = 60, timeout: float = 30, path: str = "/", mute: tuple[int, ...] = ()
) -> AsyncIterator[Holdings]:
    """Endpoints that are ``mute`` are given up after a second."""
    chain = short_with(Chain([server.url(path) for server in servers], 31337, timeout=timeout), *mute, seconds=1)
    holdings = Holdings(chain, limits=HoldingLimits(patience=patience))
    try:
        yield holdings
    finally:
        await holdings.close()
        await chain.close()


def methods(server: Server) -> list[str]:
    """What was asked for, batches in brackets."""
    bodies = [json.loads(asked.body) for asked in server.asked]
    return [f"[{len(body)}]" if isinstance(body, list) else body["method"] for body in bodies]


async def test_a_question_is_one_request() -> None:
    async with scripted(HONEST) as server, asking(server) as holdings:
        assert await holdings.unmet(ALICE, EVERYTHING) == ()
        assert methods(server) == ["eth_chainId", "eth_getBlockByNumber", "[12]"]
        body = json.loads(server.asked[-1].body)
        assert {each["params"][-1] for each in body} == {"finalized"}
        assert await holdings.unmet(ALICE, EVERYTHING) == ()
        assert len(server.asked) == 3


async def test_fifty_questions_are_one_request() -> None:
    async with scripted(HONEST) as server, asking(server) as holdings:
        found = await asyncio.gather(*(holdings.unmet(ALICE, EVERYTHING) for _ in range(50)))
        assert found == [()] * 50
        assert methods(server) == ["eth_chainId", "eth_getBlockByNumber", "[12]"]


async def test_a_node_without_batches_is_asked_one_by_one() -> None:
    async def single_only(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if isinstance(json.loads(asked.body), list):
            writer.write(response(400, b'{"error":"batches are for paying customers"}'))
        else:
            await HONEST(asked, writer)

    async with scripted(single_only) as server, asking(server, path="/secret-key") as holdings:
        with capture_logs() as logs:
            assert await holdings.unmet(ALICE, EVERYTHING) == ()
        assert methods(server)[:3] == ["eth_chainId", "eth_getBlockByNumber", "[12]"]
        assert len(server.asked) == 3 + 12
        assert await holdings.unmet(COIN, EVERYTHING) == ()
        assert methods(server).count("[12]") == 1
        assert [(each["event"], each["what"]) for each in logs] == [("chain.refused", "batch")]
        assert "secret-key" not in str(logs)


async def test_a_batch_that_comes_back_in_another_order() -> None:
    """JSON-RPC 2.0, section 6: responses may come in any order."""

    async def shuffled(asked: Asked, writer: asyncio.StreamWriter) -> None:
        body = json.loads(asked.body)
        if not isinstance(body, list):
            await HONEST(asked, writer)
            return
        replies = [
            {"jsonrpc": "2.0", "id": each["id"], "result": "0x7" if each["method"] == "eth_getBalance" else "0x9"}
            for each in body
        ]
        writer.write(response(200, json.dumps(replies[::-1]).encode()))

    async with scripted(shuffled) as server, asking(server) as holdings:
        unmet = await holdings.unmet(ALICE, SenderRules(min_nonce=10, min_balance=10))
        assert [each.found for each in unmet] == [9, 7]


@pytest.mark.parametrize("rules", [RICH, EVERYTHING])
async def test_a_silent_node_bounds_the_question_in_time(rules: SenderRules) -> None:
    gone = asyncio.Event()

    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        raise ConnectionResetError

    async with scripted(silent) as mute, asking(mute, patience=0.2) as holdings:
        with pytest.raises(ChainUnavailable, match=r"within 0\.2 s"):
            await holdings.unmet(ALICE, rules)
        assert holdings._running, "the question did not wait for the endpoint's own bound"
        gone.set()  # the chain client lets what is under way end


async def test_a_node_that_drips_is_as_good_as_silent() -> None:
    async def dripping(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with scripted(dripping) as server, asking(server, patience=5, timeout=0.3) as holdings:
        with pytest.raises(ChainUnavailable):
            await holdings.unmet(ALICE, RICH)


async def test_behind_a_silent_node_the_next_one_is_found() -> None:
    """The first question gives up, and its read goes on: it learns which node is silent, and keeps the answer."""
    async with (
        scripted(silence) as mute,
        scripted(HONEST) as good,
        asking(mute, good, patience=0.1, mute=(0,)) as holdings,
    ):
        with pytest.raises(ChainUnavailable):
            await holdings.unmet(ALICE, EVERYTHING)
        (load,) = set(holdings._running.values())
        await asyncio.wait({load})
        assert await holdings.unmet(ALICE, EVERYTHING) == ()
        assert methods(good).count("[12]") == 1
        patient = Holdings(holdings._chain, limits=HoldingLimits(patience=60))
        assert await patient.unmet(COIN, EVERYTHING) == (), "the silent one is asked last now"
        assert len(mute.asked) == 1


@pytest.mark.parametrize(
    "script",
    [
        rpc(eth_getBlockByNumber={"number": "0x10"}, eth_getBalance="much"),
        rpc(eth_getBlockByNumber={"number": "0x10"}, eth_getBalance={"error": {"code": -32000, "message": "no trie"}}),
        rpc(eth_getBlockByNumber={"number": "0x10"}, eth_getBalance=None),
        rpc(eth_getBlockByNumber={"error": {"code": -32005, "message": "limit exceeded"}}, eth_getBalance="0x64"),
        rpc(eth_chainId="0x1", eth_getBalance="0x64"),
    ],
)
async def test_what_a_node_fails_to_say_lets_nobody_in_and_turns_nobody_away(script: Script) -> None:
    async with scripted(script) as server, asking(server) as holdings:
        with pytest.raises(ChainUnavailable):
            await holdings.unmet(ALICE, RICH)


async def test_another_endpoint_answers_what_the_first_could_not() -> None:
    broken = rpc(eth_getBlockByNumber={"number": "0x10"}, eth_getTransactionCount="0x64", eth_getBalance="much")
    async with scripted(broken) as first, scripted(HONEST) as second, asking(first, second) as holdings:
        assert await holdings.unmet(ALICE, SenderRules(min_nonce=1, min_balance=100)) == ()
