"""From calldata to a signed answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.dm3.eth import keccak256
from gateway.ens.names import is_under, namehash
from gateway.errors import InvalidInput, NotFound, Unavailable, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.resolver.answers import Answer
from gateway.resolver.calls import Call, Request, parse_request
from gateway.resolver.records import EMPTY, NameRecords, RecordSource, answer_call
from gateway.resolver.registries.registries import Registries
from gateway.resolver.registries.wanted import readable
from gateway.resolver.signer import Signer, digest_of, encode_response
from gateway.watch import Counted, Timed, Watch

MAX_RESULT: Final = 60 * 2**10
"""Bytes of one result; a little less than the contract's callback takes."""
REMEMBERED: Final = 1_000
"""Look-ups of which the last answer is remembered."""
READ: Final = 16_384
"""Look-ups of which what they ask is remembered, as the nodes of as many names are."""
MAX_REMEMBERED: Final = 1_024
"""Bytes of calldata, and of a result, that are remembered."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is the same each time that something is asked."""

    request: Request
    node: bytes
    hash: bytes
    """Keccak-256 of the calldata, which is signed with the answer."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """A look-up as it was answered last. The same result with the same end has the same signature."""

    result: bytes
    expires: int
    answer: Answer


class Resolver:
    """Answers look-ups of our names for the resolver contracts that we sign for."""

    def __init__(
        self,
        sources: Iterable[RecordSource],
        signer: Signer,
        allowed_senders: Iterable[EthAddress],
        answer_ttl: int,
        zones: Iterable[EnsName],
        *,
        clock: Callable[[], float] = time.time,
        registries: Registries | None = None,
        watch: Watch | None = None,
    ) -> None:
        """``sources`` are asked in order, and ``registries`` when none of them knows a name; ``answer_ttl`` is the life
        of a signature in seconds; ``zones`` are the parents whose names, and they themselves, are served; ``clock``
        gives seconds since 1970."""
        self._sources = tuple(sources)
        self._signer = signer
        self._senders = frozenset(EthAddress(sender.lower()) for sender in allowed_senders)
        self._zones = tuple(zones)
        self._clock = clock
        self._registries = registries or Registries()
        self._watch = watch or Watch()
        self._answer_ttl = answer_ttl
        self._answered: dict[tuple[EthAddress, bytes], _Answered] = {}

    async def answer(self, sender: EthAddress, calldata: bytes, *, followed: bool = False) -> Answer:
        """Response for the contract ``sender`` to the calldata of its resolve(bytes,bytes).

        ``followed``: another gateway asks because it was asked itself (see `Registries.find`).

        Raises NotFound for a contract that is not ours and UnknownName for a name that is not under our zones (ours
        without records get signed empty answers); InvalidInput for calldata that is malformed, about another
        node, or whose result would be too long; Unavailable when a source or the signer fails.
        """
        if sender not in self._senders:
            raise NotFound("this gateway does not answer for that contract")
        asked = _remembered(calldata) if len(calldata) <= MAX_REMEMBERED else _read(calldata)
        name = asked.request.name
        if not any(name == zone or is_under(name, zone) for zone in self._zones):
            raise UnknownName("this gateway does not serve that name")
        call, records = await self._find(asked.request, asked.node, followed)
        result = answer_call(call, asked.node, records)
        if len(result) > MAX_RESULT:
            raise InvalidInput(f"the result would have more than {MAX_RESULT} bytes; ask for less at once")
        life = self._answer_ttl if records.ttl is None else min(self._answer_ttl, records.ttl)
        expires = int(self._clock()) + life
        last = self._answered.get((sender, calldata))
        if last is not None and (last.expires, last.result) == (expires, result):
            return last.answer
        signature = await self._sign(digest_of(sender, expires, asked.hash, keccak256(result)))
        answer = Answer(encode_response(result, expires, signature), life)
        if max(len(calldata), len(result)) <= MAX_REMEMBERED:
            if len(self._answered) >= REMEMBERED:
                # What is asked for all the time is soon there again.
                self._answered.clear()
            self._answered[sender, calldata] = _Answered(result, expires, answer)
        return answer

    async def _sign(self, digest: bytes) -> bytes:
        started = time.perf_counter()
        try:
            signature = await self._signer.sign(digest)
        except Unavailable:
            self._watch.count(Counted.SIGNER_FAILED)
            raise
        self._watch.measure(Timed.SIGNING, time.perf_counter() - started)
        return signature

    async def _find(self, request: Request, node: bytes, followed: bool) -> tuple[Call, NameRecords]:
        """The name's records, and the part of the call that they can answer."""
        for source in self._sources:
            if (found := await source.find(request.name)) is not None:
                return request.call, found
        if not self._registries.covers(request.name):
            return request.call, EMPTY
        # Nobody else is bothered with a call that we refuse.
        answer_call(request.call, node, EMPTY)
        return readable(request.call), await self._registries.find(request.name, request.call, followed=followed)


def _read(calldata: bytes) -> _Asked:
    request = parse_request(calldata)
    return _Asked(request, namehash(request.name), keccak256(calldata))


_remembered: Final = lru_cache(READ)(_read)
