"""The Ethereum chain: a few JSON-RPC calls, over several endpoints.

Endpoints are asked in order of preference and the first that works is believed; or, with a quorum, all are asked and
what enough of them say alike is believed.

The only module of the gateway proper that uses web3, which takes more than a second to load and is loaded when the
chain is first asked.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from gateway.dm3.canonical import Json
from gateway.ens.endpoint import REST, Endpoint
from gateway.ens.questions import (
    BLOCK_NUMBER,
    Answer,
    EndpointFailed,
    Question,
    Reverted,
    balance_of,
    code_of,
    contract_call,
    transaction_count_of,
)
from gateway.ens.votes import Votes
from gateway.errors import ChainUnavailable
from gateway.ids import EthAddress

if TYPE_CHECKING:
    from web3 import AsyncHTTPProvider

GUESSING: Final = "charset_normalizer"
"""A library that guesses encodings."""
TIMEOUT: Final = 4.0
"""Seconds for one call to one endpoint."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class CallReverted(Exception):
    """The contract refused the call; ``data`` is its reason (OffchainLookup among them). Never leaves this package."""

    def __init__(self, data: bytes) -> None:
        super().__init__(f"call reverted with {len(data)} bytes")
        self.data = data


class _Disagreement(Exception):
    """Enough endpoints answered, and not alike."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        super().__init__(", ".join(hosts))
        self.hosts = hosts


class Chain:
    """One chain, reached through ``rpc_urls``. Does no I/O until it is asked.

    An answer counts when ``quorum`` endpoints gave it. With 1 they are asked one after the other until one works;
    with more, all at once, and they count as unavailable, too, when they do not agree. An endpoint that reports
    another chain id than ``chain_id`` is never believed. ``strict``: one that has no block by the tag asked for has
    failed, instead of answering by its newest block. ``clock`` gives monotonic seconds;
    ``disagreed`` is told when endpoints contradict each other.
    """

    def __init__(
        self,
        rpc_urls: Sequence[str],
        chain_id: int,
        *,
        quorum: int = 1,
        strict: bool = False,
        timeout: float = TIMEOUT,
        rest: float = REST,
        clock: Callable[[], float] = time.monotonic,
        disagreed: Callable[[], None] = lambda: None,
    ) -> None:
        self.chain_id = chain_id
        self._disagreed = disagreed
        self._quorum = quorum
        self._clock = clock
        self._endpoints = [
            Endpoint(url, _Web3Wire(url, timeout), chain_id, rest=rest, strict=strict, clock=clock) for url in rpc_urls
        ]

    async def eth_call(self, to: EthAddress, data: bytes, block: str = "latest") -> bytes:
        """Return data of a read-only call; empty when there is no contract.

        Raises CallReverted with the contract's reason, ChainUnavailable when no endpoint answers.
        """
        answer = await self._one(contract_call(to, data), block)
        assert isinstance(answer, bytes)
        return answer

    async def balance(self, address: EthAddress, block: str = "latest") -> int:
        """Wei. Raises ChainUnavailable."""
        return await self._number(balance_of(address), block)

    async def transaction_count(self, address: EthAddress, block: str = "latest") -> int:
        """Transactions that the address has sent. Raises ChainUnavailable."""
        return await self._number(transaction_count_of(address), block)

    async def block_number(self) -> int:
        """Number of the newest block, with a quorum the newest that so many have. Raises ChainUnavailable."""
        if self._quorum > 1:
            return await self._common_height("latest")
        return await self._number(BLOCK_NUMBER, "latest")

    async def code(self, address: EthAddress, block: str = "latest") -> bytes:
        """Code of a contract, empty for a plain account. Raises ChainUnavailable."""
        answer = await self._one(code_of(address), block)
        assert isinstance(answer, bytes)
        return answer

    async def read(self, questions: Sequence[Question], block: str = "latest") -> tuple[Answer, ...]:
        """All answers in the order of the questions, in one request to each endpoint that takes batches.

        An endpoint that has no block by the tag ``finalized`` or ``safe`` answers by its newest one, or with ``strict``
        not at all. Raises
        ChainUnavailable when a question has no answer or, with a quorum, none on which the endpoints agree.
        """
        try:
            return await self._poll(questions, block)
        except _Disagreement:
            # Honest endpoints stand at different blocks for a moment: all are asked at one that they have.
            if not block.startswith("0x"):
                block = hex(await self._common_height(block))
        try:
            return await self._poll(questions, block)
        except _Disagreement as error:
            self._disagreed()
            log.error("chain.disagreement", hosts=error.hosts, methods=sorted({each.method for each in questions}))
            raise ChainUnavailable(f"the endpoints do not agree: {error}"[:500]) from None

    async def check_chain_id(self) -> None:
        """Ask every endpoint for its chain id.

        Raises ConfigError when one reports another than ours, ChainUnavailable when fewer than the quorum answer.
        """
        answered = 0
        for endpoint in self._endpoints:
            try:
                await endpoint.check_chain()
                answered += 1
            except EndpointFailed as error:
                log.warning("chain.endpoint_failed", host=endpoint.host, reason=str(error))
        if answered < self._quorum:
            raise ChainUnavailable(f"{answered} endpoints of the chain answer, and {self._quorum} must")

    async def close(self) -> None:
        """Let what is under way end, then close all connections; they open again when the chain is asked."""
        for endpoint in self._endpoints:
            await endpoint.wire.close()

    async def _one(self, question: Question, block: str) -> bytes | int:
        (answer,) = await self.read([question], block)
        if isinstance(answer, Reverted):
            raise CallReverted(answer.data)
        return answer

    async def _number(self, question: Question, block: str) -> int:
        try:
            answer = await self._one(question, block)
        except CallReverted:
            raise ChainUnavailable(f"{question.method} was answered as if it were a call") from None
        assert isinstance(answer, int)
        return answer

    async def _poll(self, questions: Sequence[Question], block: str) -> tuple[Answer, ...]:
        """Ask until enough endpoints agree; raises _Disagreement or ChainUnavailable."""
        votes = Votes(len(questions), self._quorum)
        failures: list[str] = []
        for wave in self._waves():
            tasks = {asyncio.create_task(endpoint.ask(questions, block)): endpoint.host for endpoint in wave}
            pending = set(tasks)
            try:
                while pending and votes.decision() is None:
                    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        failures += votes.add(tasks[task], task.result())
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            if (decided := votes.decision()) is not None:
                if votes.dissenters:
                    log.warning("chain.dissent", hosts=votes.dissenters)
                return decided
        if votes.contested:
            raise _Disagreement(votes.voters)
        raise ChainUnavailable("; ".join(failures)[:500] or "no endpoint is configured")

    def _waves(self) -> list[list[Endpoint]]:
        """Who is asked together: one at a time without a quorum, else all that do not rest, and then the others."""
        now = self._clock()
        ordered = sorted(self._endpoints, key=lambda one: one.resting_until > now)
        if self._quorum == 1:
            return [[endpoint] for endpoint in ordered]
        awake = sum(endpoint.resting_until <= now for endpoint in ordered)
        first = max(awake, self._quorum)
        return [ordered[:first], ordered[first:]]

    async def _common_height(self, tag: str) -> int:
        """The highest block that, by this tag, a quorum of endpoints has reached. Raises ChainUnavailable."""
        found = await asyncio.gather(*(endpoint.height(tag) for endpoint in self._endpoints))
        heights = sorted((each for each in found if each is not None), reverse=True)
        if len(heights) < self._quorum:
            raise ChainUnavailable(f"{len(heights)} endpoints tell their {tag} block, and {self._quorum} must")
        return heights[self._quorum - 1]


class _Web3Wire:
    """A `Wire` by web3's HTTP provider, which is made when it is first used."""

    def __init__(self, url: str, timeout: float) -> None:
        self.provider: AsyncHTTPProvider | None = None
        self.under_way: set[asyncio.Task[Any]] = set()
        self._url = url
        self._timeout = timeout
        self._opening = asyncio.Lock()

    async def request(self, method: Any, params: list[Json]) -> Any:
        return await self._exchange(lambda provider: provider.make_request(method, params))

    async def batch(self, requests: Any) -> Any:
        return await self._exchange(lambda provider: provider.make_batch_request(requests))

    async def close(self) -> None:
        while self.under_way:
            await asyncio.wait(self.under_way)
        provider, self.provider = self.provider, None
        if provider is not None:
            await provider.disconnect()

    async def _exchange(self, send: Callable[[AsyncHTTPProvider], Coroutine[Any, Any, Any]]) -> Any:
        provider = self.provider
        if provider is None:
            provider = await self._to_its_end(self._open())
        try:
            async with asyncio.timeout(self._timeout):
                return await self._to_its_end(send(provider))
        except TimeoutError:
            raise EndpointFailed(f"no answer within {self._timeout:g} s") from None
        except Exception as error:
            # web3 and aiohttp raise dozens of types here; their texts may repeat the URL with its key.
            raise EndpointFailed(type(error).__name__, refused=_answered(error)) from None

    async def _open(self) -> AsyncHTTPProvider:
        async with self._opening:
            if self.provider is None:
                self.provider = await _provider(self._url, self._timeout)
            return self.provider

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Await web3's work without ever cancelling it; whoever waits may be cancelled.

        web3 takes a lock of the whole process in a thread: a coroutine that is cancelled while it waits leaves the
        lock taken, and no later call of any provider comes to its end.
        """
        task = asyncio.create_task(work)
        self.under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.under_way.discard(task)
        if not task.cancelled():
            task.exception()  # Nobody may be waiting any more: the failure counts as seen.


def _load_web3() -> None:
    """Blocks for a second. web3 loads requests, which nobody uses here and which goes without tables of 3 MB."""
    if "requests" in sys.modules or GUESSING in sys.modules:
        importlib.import_module("web3")
        return
    sys.modules[GUESSING] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("web3")
    finally:
        del sys.modules[GUESSING]


async def _provider(url: str, timeout: float) -> AsyncHTTPProvider:
    await asyncio.to_thread(_load_web3)
    from aiohttp import ClientSession, ClientTimeout, TCPConnector
    from web3 import AsyncHTTPProvider

    limits = {"timeout": ClientTimeout(total=timeout)}
    provider = AsyncHTTPProvider(url, request_kwargs=limits, exception_retry_configuration=None)
    # The provider's own session opens a connection, and does a TLS handshake, for every call.
    await provider.cache_async_session(ClientSession(connector=TCPConnector(limit=32)))
    return provider


def _answered(error: Exception) -> bool:
    """Whether there was an answer, though not one that web3 reads: an HTTP status, or something that is no JSON."""
    from aiohttp import ClientConnectionError

    return not isinstance(error, OSError | ClientConnectionError)
