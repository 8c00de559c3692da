"""Records from contracts of ENS's form on another chain, read at a block that no reorganisation takes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.dm3.eth import address_from_bytes
from gateway.ens.abi import WORD, dynamic_bytes, pack, read_address, read_bytes, read_string, word
from gateway.ens.ccip import OFFCHAIN_LOOKUP
from gateway.ens.names import namehash
from gateway.ens.questions import Answer, Question, Reverted, code_of, contract_call
from gateway.errors import BadRegistryAnswer, ChainUnavailable, InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.resolver.calls import ADDR, ADDR_COIN, CONTENTHASH, TEXT
from gateway.resolver.records import ETHEREUM, NameRecords
from gateway.resolver.registries.breaker import Breaker
from gateway.resolver.registries.registry import Reading
from gateway.resolver.registries.wanted import Wanted

GAS: Final = 3_000_000
"""That one record may cost: a text of some kilobytes, and no endless loop of a stranger's contract."""
MAX_TEXT: Final = 32 * 2**10
MAX_BYTES: Final = 1024
MAX_ALL: Final = 256 * 2**10
"""Bytes of all records of one look-up; more than one answer can carry anyway."""
_AT_ONCE: Final = 8
"""Calls in one request to the chain: a stranger's contract can return a megabyte to each."""
_RESOLVER: Final = bytes.fromhex("0178b8bf")  # resolver(bytes32), EIP-137
_NONE: Final = EthAddress("0x" + "00" * 20)


class Reads(Protocol):
    """The chain as it is used here."""

    async def read(self, questions: Sequence[Question], block: str) -> tuple[Answer, ...]:
        """See `gateway.ens.chain.Chain.read`."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """Either the registry that names the resolver of each name (EIP-137), or the one resolver of all names."""

    registry: EthAddress | None = None
    resolver: EthAddress | None = None


class ChainOrigin:
    """Asks a name's resolver for the wanted records: addr, addr of a coin, text, contenthash of its node.

    With a registry, names without a resolver there are not known. Where one resolver is for all names there is no
    telling which exist, so all do. A call that the contract refuses is a record that does not exist. Resolvers that
    answer from outside their chain (ERC-3668) or for names below theirs (ENSIP-10) are not followed. ``timeout``:
    seconds for all of it.
    """

    def __init__(self, chain: Reads, contracts: Contracts, *, block: str, timeout: float, breaker: Breaker) -> None:
        self._chain = chain
        self._contracts = contracts
        self._block = block
        self._timeout = timeout
        self._breaker = breaker

    @property
    def whole(self) -> bool:
        """See Origin."""
        return False

    @property
    def follows(self) -> bool:
        """See Origin."""
        return False

    async def read(self, name: EnsName, wanted: Wanted) -> Reading:
        """See Origin."""
        with self._breaker.attempt(ChainUnavailable):
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._read(namehash(name), wanted)
            except TimeoutError:
                raise ChainUnavailable(f"no answer within {self._timeout:g} s") from None

    async def _read(self, node: bytes, wanted: Wanted) -> Reading:
        resolver = self._contracts.resolver or await self._resolver_of(node)
        if resolver == _NONE:
            return Reading(None)
        coins, texts = sorted(wanted.coins), sorted(wanted.texts)
        calls = [ADDR + node if coin == ETHEREUM else ADDR_COIN + node + word(coin) for coin in coins]
        calls += [TEXT + pack(node, dynamic_bytes(key.encode())) for key in texts]
        calls += [CONTENTHASH + node] if wanted.contenthash else []
        returned = await self._call(resolver, calls)
        try:
            found = {coin: _coin(coin, data) for coin, data in zip(coins, returned, strict=False)}
            written = returned[len(coins) :]
            said = {key: _text(data) for key, data in zip(texts, written, strict=False)}
            contenthash = _bytes(returned[-1]) if wanted.contenthash else b""
        except InvalidInput as error:
            raise BadRegistryAnswer(f"the resolver's answer: {error.detail}") from None
        return Reading(
            NameRecords(
                coins={coin: data for coin, data in found.items() if data},
                texts={key: text for key, text in said.items() if text},
                contenthash=contenthash or None,
            )
        )

    async def _call(self, resolver: EthAddress, calls: Sequence[bytes]) -> list[bytes]:
        """What the contract returns to each call, empty where it refuses."""
        questions = [contract_call(resolver, call, GAS) for call in calls]
        if self._contracts.resolver is not None:
            questions.insert(0, code_of(resolver))
        answers: list[Answer] = []
        size = 0
        for start in range(0, len(questions), _AT_ONCE):
            answers += await self._chain.read(questions[start : start + _AT_ONCE], self._block)
            size += sum(len(answer) for answer in answers[start:] if isinstance(answer, bytes))
            if size > MAX_ALL:
                raise BadRegistryAnswer(f"records of more than {MAX_ALL} bytes")
        if self._contracts.resolver is not None and not answers.pop(0):
            raise BadRegistryAnswer("there is no contract at the resolver's address")
        return [_returned(answer) for answer in answers]

    async def _resolver_of(self, node: bytes) -> EthAddress:
        registry = self._contracts.registry or _NONE
        (answer,) = await self._chain.read([contract_call(registry, _RESOLVER + node, GAS)], self._block)
        if not isinstance(answer, bytes) or len(answer) != WORD:
            raise BadRegistryAnswer("there is no registry at the registry's address")
        try:
            return address_from_bytes(read_address(answer, 0))
        except InvalidInput as error:
            raise BadRegistryAnswer(f"the registry's answer: {error.detail}") from None


def _returned(answer: Answer) -> bytes:
    if isinstance(answer, Reverted):
        if answer.data[:4] == OFFCHAIN_LOOKUP:
            raise BadRegistryAnswer("the resolver answers from outside its chain, which is not followed")
        return b""
    assert isinstance(answer, bytes)
    return answer


def _coin(coin: int, data: bytes) -> bytes:
    if coin != ETHEREUM:
        return _bytes(data)
    address = read_address(data, 0) if data else b""
    return address if any(address) else b""


def _text(data: bytes) -> str:
    return read_string(data, 0, max_bytes=MAX_TEXT) if data else ""


def _bytes(data: bytes) -> bytes:
    return read_bytes(data, 0, max_bytes=MAX_BYTES) if data else b""
