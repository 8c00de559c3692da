"""Records of another zone of the same ENS, told of the same names below ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from cachetools import LRUCache

from gateway.ens.lookup import Ens, FoundResolver
from gateway.ens.names import is_under
from gateway.ens.together import all_of
from gateway.errors import (
    BadRegistryAnswer,
    ChainUnavailable,
    FetchFailed,
    FetchRefused,
    InvalidInput,
    Unavailable,
    UnknownName,
)
from gateway.ids import EnsName, EthAddress
from gateway.resolver.records import NameRecords
from gateway.resolver.registries.breaker import Breaker
from gateway.resolver.registries.registry import Reading
from gateway.resolver.registries.wanted import Wanted

_AT_ONCE: Final = 4
"""Records that are asked for together."""
_RESOLVERS: Final = 256
"""Resolver contracts whose gateways have a breaker of their own."""


class AliasOrigin:
    """Looks names up as every client does: registry, resolver, its gateways.

    ``own_parent`` and ``own_resolvers`` are where a look-up would come back to us. There is a breaker for the chain and
    one for the gateways of each resolver contract: somebody whose name has slow gateways must not close the zone for
    the others. ``timeout``: seconds for the resolver, and again for its records.
    """

    def __init__(
        self,
        ens: Ens,
        *,
        own_parent: EnsName,
        own_resolvers: Iterable[EthAddress],
        timeout: float,
        breaker: Callable[[], Breaker],
    ) -> None:
        self._ens = ens
        self._own_parent = own_parent
        self._own_resolvers = frozenset(EthAddress(each.lower()) for each in own_resolvers)
        self._timeout = timeout
        self._breaker = breaker
        self._chain = breaker()
        self._gateways: LRUCache[EthAddress, Breaker] = LRUCache(_RESOLVERS)

    @property
    def whole(self) -> bool:
        """See Origin."""
        return False

    @property
    def follows(self) -> bool:
        """See Origin."""
        return True

    async def read(self, name: EnsName, wanted: Wanted) -> Reading:
        """See Origin. UnknownName also for names that lead back to this gateway."""
        if name == self._own_parent or is_under(name, self._own_parent):
            raise UnknownName("the name leads back to this gateway")
        try:
            with self._chain.attempt(ChainUnavailable):
                async with self._in_time(ChainUnavailable):
                    found = await self._ens.resolver_of(name)
                if found is None:
                    return Reading(None)
                if found.address in self._own_resolvers:
                    raise UnknownName("the name leads back to this gateway")
                with self._gateways_of(found.address).attempt(FetchFailed):
                    async with self._in_time(FetchFailed):
                        return Reading(await self._records(name, wanted, found))
        except (InvalidInput, FetchRefused) as error:
            raise BadRegistryAnswer(f"what the name says there: {error.detail}") from None

    def _gateways_of(self, resolver: EthAddress) -> Breaker:
        known = self._gateways.get(resolver)
        if known is None:
            known = self._gateways[resolver] = self._breaker()
        return known

    @asynccontextmanager
    async def _in_time(self, failure: type[Unavailable]) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError:
            raise failure(f"no answer within {self._timeout:g} s") from None

    async def _records(self, name: EnsName, wanted: Wanted, at: FoundResolver) -> NameRecords:
        coins, texts = sorted(wanted.coins), sorted(wanted.texts)
        addresses: list[bytes | None] = []
        for start in range(0, len(coins), _AT_ONCE):
            asked = coins[start : start + _AT_ONCE]
            addresses += await all_of(*(self._ens.addr(name, coin, at=at) for coin in asked))
        said: list[str] = []
        for start in range(0, len(texts), _AT_ONCE):
            said += await all_of(*(self._ens.text(name, key, at=at) for key in texts[start : start + _AT_ONCE]))
        contenthash = await self._ens.contenthash(name, at=at) if wanted.contenthash else b""
        return NameRecords(
            coins={coin: data for coin, data in zip(coins, addresses, strict=True) if data},
            texts={key: text for key, text in zip(texts, said, strict=True) if text},
            contenthash=contenthash or None,
        )
