"""Our own ERC-3668 client: follows a contract to its gateways, through the guarded client, and back.

web3's refuses loopback without a choice and fetches what it likes otherwise; ours obeys one rule for all of egress.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final

from gateway.dm3.canonical import parse_object
from gateway.dm3.eth import address_from_bytes
from gateway.ens.abi import dynamic_bytes, pack, read_address, read_bytes, read_bytes_array, read_word
from gateway.ens.chain import CallReverted, Chain
from gateway.ens.egress import Fetched, GuardedClient
from gateway.errors import FetchFailed, FetchRefused, InvalidInput, ParseError, TooLarge, UnknownName
from gateway.ids import EthAddress

OFFCHAIN_LOOKUP: Final = bytes.fromhex("556f1830")
"""OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData)."""
MAX_HOPS: Final = 4
TOTAL_SECONDS: Final = 20.0
"""For one answer: all gateways of all hops, each slow in its own time, would hold a request for minutes."""
MAX_URLS: Final = 8
MAX_LOOKUP: Final = 64 * 2**10
"""Bytes of each part of an OffchainLookup."""
MAX_RESPONSE: Final = 256 * 2**10
"""Bytes of a gateway's response: data in hex inside JSON."""

_DATA: Final = re.compile(r"0[xX](?:[0-9a-fA-F]{2})*")


@dataclass(frozen=True, slots=True)
class OffchainLookup:
    """What a contract wants to have fetched."""

    sender: EthAddress
    urls: tuple[str, ...]
    calldata: bytes
    callback: bytes
    """4 bytes: the function that takes the response."""
    extra: bytes


def parse_offchain_lookup(data: bytes) -> OffchainLookup | None:
    """Read revert data; None when it is another error. Raises InvalidInput when it is malformed or past a bound."""
    if data[:4] != OFFCHAIN_LOOKUP:
        return None
    arguments = data[4:]
    urls = read_bytes_array(arguments, 1, max_items=MAX_URLS, max_bytes=MAX_LOOKUP)
    try:
        texts = tuple(url.decode("ascii") for url in urls)
    except UnicodeDecodeError:
        raise InvalidInput("gateway URL outside ASCII") from None
    return OffchainLookup(
        sender=address_from_bytes(read_address(arguments, 0)),
        urls=texts,
        calldata=read_bytes(arguments, 2, max_bytes=MAX_LOOKUP),
        callback=read_word(arguments, 3)[:4],
        extra=read_bytes(arguments, 4, max_bytes=MAX_LOOKUP),
    )


class CcipReader:
    """Calls contracts that may answer from outside the chain."""

    def __init__(self, chain: Chain, client: GuardedClient, *, seconds: float = TOTAL_SECONDS) -> None:
        self._chain = chain
        self._client = client
        self._seconds = seconds

    async def call(self, to: EthAddress, data: bytes) -> bytes:
        """Return data of a call, after at most four look-ups through gateways.

        Raises CallReverted when the contract refuses the call itself; ChainUnavailable; UnknownName when a gateway
        says that it has no answer (4xx); FetchFailed when none can be had now or in time, or the contract refuses
        what the gateway said; FetchRefused when all its gateways are at forbidden addresses, or the look-up is
        malformed.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(to, data)
        except TimeoutError:
            raise FetchFailed(f"the gateways of a name gave no answer within {self._seconds:g} s") from None

    async def _follow(self, to: EthAddress, data: bytes) -> bytes:
        call = data
        for hop in range(MAX_HOPS + 1):
            try:
                return await self._chain.eth_call(to, call)
            except CallReverted as reverted:
                lookup = _lookup_of(reverted, to)
                if lookup is None and hop == 0:
                    raise
                if lookup is None:
                    raise FetchFailed("the resolver contract refused what its gateway said") from None
            if hop < MAX_HOPS:
                response = await self.fetch(lookup)
                call = lookup.callback + pack(dynamic_bytes(response), dynamic_bytes(lookup.extra))
        raise FetchFailed(f"more than {MAX_HOPS} look-ups for one answer")

    async def fetch(self, lookup: OffchainLookup) -> bytes:
        """The response of the first gateway that has one. Raises as ``call``."""
        failure: FetchFailed | FetchRefused = FetchRefused("the contract names no gateway")
        for url in lookup.urls:
            try:
                fetched = await self._ask(url, lookup)
            except FetchRefused as refused:
                # A gateway that could be asked again later is the better reason to report.
                failure = failure if isinstance(failure, FetchFailed) else refused
                continue
            except FetchFailed as failed:
                failure = failed
                continue
            if 400 <= fetched.status < 500:
                # ERC-3668: the gateway is sure; asking another one would not help.
                raise UnknownName(f"gateway answered {fetched.status}")
            response = _response(fetched)
            if response is not None:
                return response
            failure = FetchFailed(f"gateway answered {fetched.status} without usable data")
        raise failure

    async def _ask(self, url: str, lookup: OffchainLookup) -> Fetched:
        data = "0x" + lookup.calldata.hex()
        target = url.replace("{sender}", lookup.sender).replace("{data}", data)
        if "{data}" in url:
            return await self._client.get(target, max_bytes=MAX_RESPONSE, max_redirects=0)
        return await self._client.post_json(target, {"data": data, "sender": lookup.sender}, max_bytes=MAX_RESPONSE)


def _lookup_of(reverted: CallReverted, to: EthAddress) -> OffchainLookup | None:
    try:
        lookup = parse_offchain_lookup(reverted.data)
    except InvalidInput as error:
        raise FetchRefused(f"OffchainLookup: {error.detail}") from None
    # ERC-3668: a revert that bubbled up from a nested call must not make us call back the wrong contract.
    if lookup is not None and lookup.sender != to:
        raise FetchRefused("OffchainLookup of another contract")
    return lookup


def _response(fetched: Fetched) -> bytes | None:
    if fetched.status != 200:
        return None
    try:
        data = parse_object(fetched.body, max_bytes=MAX_RESPONSE, max_depth=4, max_items=64).get("data")
    except (ParseError, TooLarge):
        return None
    if not isinstance(data, str) or not _DATA.fullmatch(data):
        return None
    return bytes.fromhex(data[2:])
