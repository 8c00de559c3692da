"""A batch gateway (ENSIP-21): fetches for clients that cannot ask the gateways of a contract themselves.

Whoever asks it makes this machine fetch what strangers' contracts name. So it is off unless the operator wants it, goes
through the guarded client, has bounds of its own, and neither asks nor serves another batch gateway.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Scope

from gateway.dm3.eth import address_from_bytes
from gateway.ens.abi import (
    SELECTOR,
    WORD,
    Dynamic,
    dynamic_array,
    dynamic_bytes,
    pack,
    read_address,
    read_bytes,
    read_bytes_array,
    read_uint,
    word,
)
from gateway.ens.ccip import CcipReader, OffchainLookup
from gateway.ens.chain import Chain
from gateway.ens.egress import USER_AGENT, GuardedClient
from gateway.errors import FetchRefused, GatewayError, InvalidInput, UnknownName
from gateway.ids import EthAddress
from gateway.rates import Rate, asker_of
from gateway.resolver.answers import Answer
from gateway.resolver.endpoint import BATCH_PATH, CcipEndpoint
from gateway.watch import Watch

QUERY: Final = bytes.fromhex("a780bab6")
"""query((address sender, string[] urls, bytes data)[] queries), ENSIP-21."""
HTTP_ERROR: Final = bytes.fromhex("01800152")
"""HttpError(uint16 status, string message), ENSIP-21."""
MAX_CALLDATA: Final = 32 * 2**10
MAX_QUERIES: Final = 16
MAX_URLS: Final = 4
"""Of one query."""
MAX_RESPONSES: Final = 512 * 2**10
"""Bytes of all responses of one request."""
SECONDS: Final = 8.0
"""For one request: its queries are asked side by side."""
AT_ONCE: Final = 32
"""Queries under way for everybody."""


class BatchGateway:
    """Answers ``query``: for each query what the first of its gateways says, or why there is nothing."""

    def __init__(self, reader: CcipReader, *, seconds: float = SECONDS, at_once: int = AT_ONCE) -> None:
        """``reader`` fetches through the client that is guarded against addresses inside."""
        self._reader = reader
        self._seconds = seconds
        self._free = asyncio.Semaphore(at_once)

    async def answer(self, _sender: EthAddress, calldata: bytes, *, followed: bool = False) -> Answer:
        """abi.encode(bool[] failures, bytes[] responses), which nobody is to keep; whose lookup it is does not matter.

        Raises InvalidInput for calldata that is malformed or passes a bound: 16 queries, four URLs each.
        """
        asked = await asyncio.gather(*map(self._ask, parse_query(calldata)))
        left = MAX_RESPONSES
        failures, responses = bytearray(), []
        for failed, response in asked:
            left -= len(response)
            if left < 0:
                failed, response = True, http_error(413, "the responses of this batch are too long")
                left = 0
            failures += word(int(failed))
            responses.append(response)
        return Answer(pack(Dynamic(word(len(asked)) + bytes(failures)), dynamic_array(responses)), 0)

    async def _ask(self, lookup: OffchainLookup) -> tuple[bool, bytes]:
        try:
            if lookup.calldata[:SELECTOR] == QUERY:
                raise FetchRefused("a batch inside a batch")
            async with asyncio.timeout(self._seconds), self._free:
                return False, await self._reader.fetch(lookup)
        except TimeoutError:
            return True, http_error(504, f"no answer within {self._seconds:g} s")
        except UnknownName as error:
            return True, http_error(404, error.detail)
        except FetchRefused as error:
            return True, http_error(403, error.detail)
        except GatewayError as error:
            return True, http_error(502, error.detail)


def batch_endpoint(chain: Chain, client: GuardedClient, calls_per_minute: int, watch: Watch) -> CcipEndpoint:
    """The batch gateway at its place; `client` is its own, `calls_per_minute` those of one asker."""
    rate = Rate(calls_per_minute)

    def admit(scope: Scope) -> None:
        # Ours or another node's: chains of batch gateways would go round in circles.
        if (b"user-agent", USER_AGENT.encode()) in scope["headers"]:
            raise InvalidInput("a batch gateway does not serve a batch gateway")
        rate.take(asker_of(scope))

    return CcipEndpoint(BatchGateway(CcipReader(chain, client)), path=BATCH_PATH, admit=admit, watch=watch)


def parse_query(calldata: bytes) -> tuple[OffchainLookup, ...]:
    """Read the calldata of ``query``, selector included. Raises InvalidInput."""
    if len(calldata) > MAX_CALLDATA:
        raise InvalidInput(f"calldata of more than {MAX_CALLDATA} bytes")
    if calldata[:SELECTOR] != QUERY:
        raise InvalidInput("calldata is not of query((address,string[],bytes)[])")
    arguments = calldata[SELECTOR:]
    start = read_uint(arguments, 0)
    if start > len(arguments):
        raise InvalidInput("ABI offset points behind the data")
    count = read_uint(arguments[start : start + WORD], 0)
    if count > MAX_QUERIES:
        raise InvalidInput(f"more than {MAX_QUERIES} queries in one batch")
    elements = arguments[start + WORD :]
    return tuple(_query_at(elements, read_uint(elements, index)) for index in range(count))


def _query_at(elements: bytes, offset: int) -> OffchainLookup:
    if offset > len(elements):
        raise InvalidInput("ABI offset points behind the data")
    fields = elements[offset:]
    urls = read_bytes_array(fields, 1, max_items=MAX_URLS, max_bytes=MAX_CALLDATA)
    try:
        texts = tuple(url.decode("ascii") for url in urls)
    except UnicodeDecodeError:
        raise InvalidInput("gateway URL outside ASCII") from None
    calldata = read_bytes(fields, 2, max_bytes=MAX_CALLDATA)
    return OffchainLookup(address_from_bytes(read_address(fields, 0)), texts, calldata, b"", b"")


def http_error(status: int, message: str) -> bytes:
    """Error data in the place of a response."""
    return HTTP_ERROR + pack(word(status), dynamic_bytes(message.encode()))
