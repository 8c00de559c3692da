"""The chain's server over real sockets: start, CORS, bounds, concurrency, web3.py as a client, and a clean end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from eth_account import Account as EthAccount
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.types import TxParams, Wei

from gateway.demo.chain import RunningChain, running_chain
from gateway.demo.chain.rpc import MAX_BODY_BYTES
from gateway.dm3.eth import checksum
from gateway.errors import ConfigError
from gateway.ids import EnsName


@pytest.fixture
async def chain() -> AsyncIterator[RunningChain]:
    async with running_chain() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as found:
        yield found


async def ask(client: httpx2.AsyncClient, chain: RunningChain, method: str, *params: Any) -> Any:
    reply = await client.post(chain.url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    return reply.json()


async def test_answers(chain: RunningChain, client: httpx2.AsyncClient) -> None:
    assert (await ask(client, chain, "eth_chainId"))["result"] == hex(chain.chain_id)
    assert len((await ask(client, chain, "eth_getCode", chain.registry, "latest"))["result"]) > 1000
    assert len((await ask(client, chain, "eth_getCode", chain.universal_resolver, "latest"))["result"]) > 1000


async def test_errors_are_json_rpc(chain: RunningChain, client: httpx2.AsyncClient) -> None:
    reply = await client.post(chain.url, content=b"{")
    assert (reply.status_code, reply.json()["error"]["code"]) == (200, -32700)


async def test_notification_has_no_body(chain: RunningChain, client: httpx2.AsyncClient) -> None:
    reply = await client.post(chain.url, content=b'{"jsonrpc":"2.0","method":"evm_mine"}')
    assert (reply.status_code, reply.content) == (204, b"")


async def test_body_is_bounded_while_it_is_read(chain: RunningChain, client: httpx2.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2 + MAX_BODY_BYTES // 65_536):
            yield b" " * 65_536

    reply = await client.post(chain.url, content=endless())
    assert reply.json()["error"]["code"] == -32011


async def test_browsers_may_ask(chain: RunningChain, client: httpx2.AsyncClient) -> None:
    headers = {
        "Origin": "https://wallet.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = await client.options(chain.url, headers=headers)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "*")
    reply = await client.post(chain.url, content=b"{}", headers={"Origin": "https://wallet.example"})
    assert reply.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 405), ("POST", "/rpc", 404)])
async def test_other_routes(
    chain: RunningChain, client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    assert (await client.request(method, chain.url + path)).status_code == status


async def test_reads_and_writes_at_the_same_time(chain: RunningChain, client: httpx2.AsyncClient) -> None:
    """Names are written from a thread while calls come in through the server: none of them sees a torn state."""
    names = [EnsName(f"n{at}.eth") for at in range(8)]

    async def write() -> None:
        for name in names:
            await asyncio.to_thread(chain.ens.register, name)

    async def read() -> set[str]:
        seen = set()
        for _ in range(40):
            seen.add((await ask(client, chain, "eth_getBalance", chain.accounts["bob"].address))["result"])
        return seen

    _, *seen = await asyncio.gather(write(), read(), read())
    assert seen[0] == seen[1] == {hex(chain.core.balance(chain.accounts["bob"].address))}
    assert {chain.ens.resolver(name) for name in names} == {chain.ens.public_resolver}


async def test_given_port_is_used_and_freed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for _ in range(2):
        async with running_chain(port) as running:
            assert running.url == f"http://127.0.0.1:{port}"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match=r"(?i)in use"):
        async with running_chain(taken.getsockname()[1]):
            pass


async def test_ends_when_the_body_fails_and_tells_the_reason() -> None:
    with pytest.raises(ValueError, match="told"):
        async with running_chain() as running:
            raise ValueError("told")
    with pytest.raises(httpx2.ConnectError):
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            await client.get(running.url)


async def test_web3_sends_a_transaction(chain: RunningChain) -> None:
    """Its defaults: fee history, gas estimate, EIP-1559, polling for the receipt."""
    web3 = AsyncWeb3(AsyncHTTPProvider(chain.url))
    try:
        alice = EthAccount.from_key(chain.accounts["alice"].key)
        bob = AsyncWeb3.to_checksum_address(chain.accounts["bob"].address)
        assert alice.address == checksum(chain.accounts["alice"].address)
        before = await web3.eth.get_balance(bob)
        transaction: TxParams = {
            "chainId": await web3.eth.chain_id,
            "from": alice.address,
            "to": bob,
            "value": Wei(5),
            "nonce": await web3.eth.get_transaction_count(alice.address),
            "maxFeePerGas": Wei(3 * await web3.eth.gas_price),
            "maxPriorityFeePerGas": await web3.eth.max_priority_fee,
        }
        transaction["gas"] = await web3.eth.estimate_gas(transaction)
        digest = await web3.eth.send_raw_transaction(alice.sign_transaction(transaction).raw_transaction)
        receipt = await web3.eth.wait_for_transaction_receipt(digest, timeout=60)
        assert (receipt["status"], receipt["gasUsed"], receipt["to"]) == (1, 21_000, bob)
        assert await web3.eth.get_balance(bob) == before + 5
        block = await web3.eth.get_block("latest", full_transactions=True)
        shown: Any = block["transactions"][0]
        assert shown["hash"] == digest
        history = await web3.eth.fee_history(4, "latest", [50.0])
        assert len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1
    finally:
        await web3.provider.disconnect()
