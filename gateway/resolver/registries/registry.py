"""One registry as the resolver sees it: names are mapped, answers remembered within their time, look-ups bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from gateway.ens.memo import MAX_TTL_MS, Memo, MemoLimits
from gateway.ens.names import MAX_NAME_BYTES, is_under
from gateway.errors import BadRegistryAnswer, RegistryDown, Unavailable
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.resolver.records import NameRecords
from gateway.resolver.registries.wanted import Wanted

FAULT_MS: Final = 5_000
"""For which an answer that cannot be believed is not asked for again: names cannot make us hammer a registry."""
SHORTEST_MS: Final = 5_000
"""That an old answer must have left to be told during an outage: less could run out on its way."""
_ENTRY: Final = 1_000
"""Bytes of memory that an answer takes without its contents, about."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an origin found: ``records`` is None when it knows that there is no such name.

    ``expires`` (ms since 1970): when this ends by the origin's own word, None when it says nothing.
    """

    records: NameRecords | None
    expires: int | None = None


class Origin(Protocol):
    """A way to read records elsewhere."""

    @property
    def whole(self) -> bool:
        """True when a reading has all records of a name, whatever was wanted."""

    @property
    def follows(self) -> bool:
        """True when a reading asks gateways that may themselves ask others, and so in the end us."""

    async def read(self, name: EnsName, wanted: Wanted) -> Reading:
        """The records that are ``wanted`` of ``name`` (in its spelling there).

        Bounds its own time. Raises RegistryDown, FetchFailed or ChainUnavailable when there is no answer,
        BadRegistryAnswer when there is one that cannot be believed, UnknownName when the name is refused without proof.
        """


@dataclass(frozen=True, slots=True)
class RegistryLimits:
    """Times in seconds. ``cache_bytes``: memory of what is remembered, about."""

    ttl: int = 60
    negative_ttl: int = 30
    concurrency: int = 32
    cache_bytes: int = 16_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What may be told of a name, for ``ttl`` seconds from now: its records, or None that it is not there."""

    records: NameRecords | None
    ttl: int


@dataclass(frozen=True, slots=True)
class _Known:
    records: NameRecords | None
    fault: str
    reusable_until: int
    ends: int


_Key: TypeAlias = tuple[EnsName, Wanted | None]


def _weight(key: _Key, known: _Known | None) -> int:
    """Bytes of memory, about: whoever asks chooses what is wanted, and 4 bytes are the widest character."""
    records, wanted = None if known is None else known.records, key[1]
    weight = _ENTRY
    if wanted is not None:
        weight += sum(4 * len(text) + 100 for text in wanted.texts) + 150 * len(wanted.coins)
    if records is not None:
        weight += sum(4 * (len(name) + len(text)) + 100 for name, text in records.texts.items())
        weight += sum(len(coin) + 100 for coin in records.coins.values())
    return weight


class Registry:
    """Names below ``zone`` are the registry's; ``target`` is the name that stands there in the place of ``zone``.

    Answers are used again for the first half of their time, so that each that is signed has at least the other half;
    during an outage for the second half, too.
    ``clock`` gives milliseconds since 1970.
    """

    def __init__(self, zone: EnsName, target: EnsName, origin: Origin, limits: RegistryLimits, *, clock: Clock) -> None:
        self.zone = zone
        self._target = target
        self._origin = origin
        self._limits = limits
        self._clock = clock
        self._loading = 0
        remembered = MemoLimits(
            ttl=MAX_TTL_MS,
            negative_ttl=limits.negative_ttl * 500,
            fresh_interval=0,
            names=limits.cache_bytes,
        )
        self._memo: Memo[_Key, _Known] = Memo(
            self._load,
            clock=clock,
            limits=remembered,
            weigh=lambda key, known: min(_weight(key, known), limits.cache_bytes),
        )

    @property
    def follows(self) -> bool:
        """See Origin."""
        return self._origin.follows

    def covers(self, name: EnsName) -> bool:
        """Whether ``name`` is below the zone."""
        return is_under(name, self.zone)

    async def find(self, name: EnsName, wanted: Wanted) -> Finding:
        """What the registry says of a name that it covers. Raises as `Origin.read`."""
        there = EnsName(name.removesuffix(self.zone) + self._target)
        if len(there.encode()) > MAX_NAME_BYTES:
            return Finding(None, self._limits.negative_ttl)
        key = (there, None if self._origin.whole else wanted)
        known = await self._memo.get(key)
        if self._clock() >= known.reusable_until:
            known = await self._renewed(key, known)
        if known.fault:
            raise BadRegistryAnswer(known.fault)
        left = (known.ends - self._clock()) // 1000
        if left < 1:
            raise RegistryDown("its answer came too late to be told")
        return Finding(known.records, left)

    async def _renewed(self, key: _Key, known: _Known) -> _Known:
        """A new reading; while there is none to be had, the old one as long as it has time left."""
        try:
            return await self._memo.get(key, fresh=True)
        except Unavailable:
            if known.fault or known.ends - self._clock() < SHORTEST_MS:
                raise
            return known

    async def _load(self, key: _Key) -> _Known:
        name, wanted = key
        if self._loading >= self._limits.concurrency:
            raise RegistryDown(f"{self._loading} look-ups are under way there")
        asked_at = self._clock()
        self._loading += 1
        try:
            reading = await self._origin.read(name, wanted or Wanted())
        except BadRegistryAnswer as error:
            until = asked_at + FAULT_MS
            return _Known(None, error.detail, until, until)
        finally:
            self._loading -= 1
        seconds = self._limits.negative_ttl if reading.records is None else self._limits.ttl
        ends = asked_at + 1000 * seconds
        if reading.expires is not None:
            ends = min(ends, reading.expires)
        return _Known(reading.records, "", asked_at + (ends - asked_at) // 2, ends)
