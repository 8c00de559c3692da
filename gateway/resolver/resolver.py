"""From calldata to a signed answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from gateway.ens.names import is_under, namehash
from gateway.errors import InvalidInput, NotFound, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.resolver.answers import Answer
from gateway.resolver.calls import parse_request
from gateway.resolver.records import EMPTY, NameRecords, RecordSource, answer_call
from gateway.resolver.signer import Signer, answer_digest, encode_response

MAX_RESULT: Final = 60 * 2**10
"""Bytes of one result; a little less than the contract's callback takes."""


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
    ) -> None:
        """``sources`` are asked in order; ``answer_ttl`` is the life of a signature in seconds; ``zones`` are the
        parents whose names, and they themselves, are served; ``clock`` gives seconds since 1970."""
        self._sources = tuple(sources)
        self._signer = signer
        self._senders = frozenset(EthAddress(sender.lower()) for sender in allowed_senders)
        self._zones = tuple(zones)
        self._clock = clock
        self._answer_ttl = answer_ttl

    async def answer(self, sender: EthAddress, calldata: bytes) -> Answer:
        """Response for the contract ``sender`` to the calldata of its resolve(bytes,bytes).

        Raises NotFound for a contract that is not ours and UnknownName for a name that is not under our zones (ours
        without records get signed empty answers); InvalidInput for calldata that is malformed, about another
        node, or whose result would be too long; Unavailable when a source or the signer fails.
        """
        if sender not in self._senders:
            raise NotFound("this gateway does not answer for that contract")
        request = parse_request(calldata)
        if not any(request.name == zone or is_under(request.name, zone) for zone in self._zones):
            raise UnknownName("this gateway does not serve that name")
        node = namehash(request.name)
        records = await self._find(request.name)
        result = answer_call(request.call, node, records)
        if len(result) > MAX_RESULT:
            raise InvalidInput(f"the result would have more than {MAX_RESULT} bytes; ask for less at once")
        life = self._answer_ttl if records.ttl is None else min(self._answer_ttl, records.ttl)
        expires = int(self._clock()) + life
        signature = await self._signer.sign(answer_digest(sender, expires, calldata, result))
        return Answer(encode_response(result, expires, signature), life)

    async def _find(self, name: EnsName) -> NameRecords:
        for source in self._sources:
            if (found := await source.find(name)) is not None:
                return found
        return EMPTY
