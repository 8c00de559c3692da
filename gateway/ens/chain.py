"""The Ethereum node: a few JSON-RPC calls, over several endpoints in order of preference.

The only module of the gateway proper that uses web3, which takes more than a second to load and is loaded when the
chain is first asked.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import structlog

from gateway.dm3.canonical import Json
from gateway.errors import ChainUnavailable, ConfigError
from gateway.ids import EthAddress

if TYPE_CHECKING:
    from web3 import AsyncHTTPProvider

TIMEOUT: Final = 4.0
"""Seconds for one call to one endpoint."""
REST: Final = 15.0
"""Seconds for which an endpoint that failed is asked only after the others."""
MAX_RETURN: Final = 2**20
"""Bytes of return or revert data that are read."""

_HEX: Final = re.compile(r"0x([0-9a-fA-F]{2})*")
_HEX_INSIDE: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
# Nodes differ in code and words for a call that the contract ended; these are errors of the execution.
_EXECUTION: Final = re.compile(r"revert|invalid opcode|invalid jump|out of gas|stack (under|over)flow", re.IGNORECASE)

T = TypeVar("T")

log = structlog.get_logger(__name__)


class CallReverted(Exception):
    """The contract refused the call; ``data`` is its reason (OffchainLookup among them). Never leaves this package."""

    def __init__(self, data: bytes) -> None:
        super().__init__(f"call reverted with {len(data)} bytes")
        self.data = data


class _EndpointFailed(Exception):
    """One endpoint cannot serve; the next is asked."""


@dataclass(slots=True)
class _Endpoint:
    url: str
    provider: AsyncHTTPProvider | None = None
    chain_checked: bool = False
    resting_until: float = 0.0

    @property
    def host(self) -> str:
        """What may be logged: paths and queries of RPC URLs hold access keys."""
        return urlsplit(self.url).hostname or "?"


class Chain:
    """One chain, reached through ``rpc_urls``, the first that works. Does no I/O until it is asked.

    An endpoint that reports another chain id than ``chain_id`` is never believed. ``clock`` gives monotonic seconds.
    """

    def __init__(
        self,
        rpc_urls: Sequence[str],
        chain_id: int,
        *,
        timeout: float = TIMEOUT,
        rest: float = REST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.chain_id = chain_id
        self._endpoints = [_Endpoint(url) for url in rpc_urls]
        self._timeout = timeout
        self._rest = rest
        self._clock = clock
        self._opening = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def eth_call(self, to: EthAddress, data: bytes, block: str = "latest") -> bytes:
        """Return data of a read-only call; empty when there is no contract.

        Raises CallReverted with the contract's reason, ChainUnavailable when no endpoint answers.
        """
        result = await self._request("eth_call", [{"to": to, "data": "0x" + data.hex()}, block], _as_data)
        return bytes.fromhex(result[2:])

    async def balance(self, address: EthAddress, block: str = "latest") -> int:
        """Wei. Raises ChainUnavailable."""
        return int(await self._request("eth_getBalance", [address, block], _as_quantity), 16)

    async def transaction_count(self, address: EthAddress, block: str = "latest") -> int:
        """Transactions that the address has sent. Raises ChainUnavailable."""
        return int(await self._request("eth_getTransactionCount", [address, block], _as_quantity), 16)

    async def block_number(self) -> int:
        """Number of the newest block. Raises ChainUnavailable."""
        return int(await self._request("eth_blockNumber", [], _as_quantity), 16)

    async def code(self, address: EthAddress, block: str = "latest") -> bytes:
        """Code of a contract, empty for a plain account. Raises ChainUnavailable."""
        return bytes.fromhex((await self._request("eth_getCode", [address, block], _as_data))[2:])

    async def check_chain_id(self) -> None:
        """Ask every endpoint for its chain id.

        Raises ConfigError when one reports another than ours, ChainUnavailable when none answers.
        """
        answered = False
        for endpoint in self._endpoints:
            try:
                await self._check(endpoint)
                answered = True
            except _EndpointFailed as error:
                log.warning("chain.endpoint_failed", host=endpoint.host, reason=str(error))
        if not answered:
            raise ChainUnavailable("no endpoint of the chain answers")

    async def close(self) -> None:
        """Let what is under way end, then close all connections; they open again when the chain is asked."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        for endpoint in self._endpoints:
            provider, endpoint.provider = endpoint.provider, None
            if provider is not None:
                await provider.disconnect()

    async def _request(self, method: str, params: list[Json], read: Callable[[Json], str]) -> str:
        now = self._clock()
        failures: list[str] = []
        for endpoint in sorted(self._endpoints, key=lambda one: one.resting_until > now):
            try:
                if not endpoint.chain_checked:
                    await self._check(endpoint)
                return read(await self._ask(endpoint, method, params))
            except (_EndpointFailed, ConfigError) as error:
                endpoint.resting_until = self._clock() + self._rest
                failures.append(f"{endpoint.host}: {error}")
                log.warning("chain.endpoint_failed", host=endpoint.host, method=method, reason=str(error))
        raise ChainUnavailable("; ".join(failures)[:500] or "no endpoint is configured")

    async def _check(self, endpoint: _Endpoint) -> None:
        found = int(_as_quantity(await self._ask(endpoint, "eth_chainId", [])), 16)
        endpoint.chain_checked = found == self.chain_id
        if not endpoint.chain_checked:
            raise ConfigError(f"{endpoint.host} is of chain {found}, not {self.chain_id}")

    async def _ask(self, endpoint: _Endpoint, method: str, params: list[Json]) -> Json:
        provider = endpoint.provider
        if provider is None:
            provider = await self._to_its_end(self._open(endpoint))
        try:
            async with asyncio.timeout(self._timeout):
                response: Any = await self._to_its_end(provider.make_request(method, params))
        except TimeoutError:
            raise _EndpointFailed(f"no answer within {self._timeout:g} s") from None
        except Exception as error:
            # web3 and aiohttp raise dozens of types here; their texts may repeat the URL with its key.
            raise _EndpointFailed(type(error).__name__) from None
        if not isinstance(response, dict):
            raise _EndpointFailed("no JSON-RPC response")
        failure = response.get("error")
        if failure is not None:
            raise _failure(failure)
        if "result" not in response:
            raise _EndpointFailed("response without a result")
        result: Json = response["result"]
        return result

    async def _open(self, endpoint: _Endpoint) -> AsyncHTTPProvider:
        async with self._opening:
            if endpoint.provider is None:
                endpoint.provider = await _provider(endpoint.url, self._timeout)
            return endpoint.provider

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Await web3's work without ever cancelling it; whoever waits may be cancelled.

        web3 takes a lock of the whole process in a thread: a coroutine that is cancelled while it waits leaves the
        lock taken, and no later call of any provider comes to its end.
        """
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # Nobody may be waiting any more: the failure counts as seen.


async def _provider(url: str, timeout: float) -> AsyncHTTPProvider:
    await asyncio.to_thread(__import__, "web3")
    from aiohttp import ClientSession, ClientTimeout, TCPConnector
    from web3 import AsyncHTTPProvider

    limits = {"timeout": ClientTimeout(total=timeout)}
    provider = AsyncHTTPProvider(url, request_kwargs=limits, exception_retry_configuration=None)
    # The provider's own session opens a connection, and does a TLS handshake, for every call.
    await provider.cache_async_session(ClientSession(connector=TCPConnector(limit=32)))
    return provider


def _failure(error: object) -> Exception:
    """What the error object of a JSON-RPC response means: the contract's refusal or a fault of the endpoint."""
    if not isinstance(error, dict):
        return _EndpointFailed("malformed error")
    message = str(error.get("message", ""))[:200]
    data = error.get("data")
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    match = _HEX_INSIDE.search(data) if isinstance(data, str) and len(data) <= 2 * MAX_RETURN + 100 else None
    if error.get("code") == 3 or _EXECUTION.search(message) or (match is not None and len(match[0]) > 2):
        return CallReverted(bytes.fromhex(match[0][2:]) if match else b"")
    return _EndpointFailed(f"error {error.get('code')}: {message}")


def _as_data(value: Json) -> str:
    if not isinstance(value, str) or len(value) > 2 * MAX_RETURN + 2 or not _HEX.fullmatch(value):
        raise _EndpointFailed("result is no data")
    return value


def _as_quantity(value: Json) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", value):
        raise _EndpointFailed("result is no number")
    return value
