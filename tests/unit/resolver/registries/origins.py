"""An origin that does what a test says, and a clock that stands until it is moved."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gateway.ids import EnsName
from gateway.resolver.registries.registry import Reading, Registry, RegistryLimits
from gateway.resolver.registries.wanted import Wanted

PARENT, ZONE, TARGET = EnsName("gw.eth"), EnsName("gno.gw.eth"), EnsName("gno.eth")
ALICE = EnsName("alice.gno.gw.eth")
URL = Wanted(texts=frozenset({"url"}))
NOW = 1_800_000_000_000


@dataclass
class Scripted:
    """Gives ``reading`` or raises it; waits for ``gate``."""

    reading: Reading | Exception
    whole: bool = False
    follows: bool = False
    now: int = NOW
    asked: list[tuple[str, Wanted]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def read(self, name: EnsName, wanted: Wanted) -> Reading:
        """See Origin."""
        self.asked.append((name, wanted))
        await self.gate.wait()
        if isinstance(self.reading, Exception):
            raise self.reading
        return self.reading

    def registry(self, limits: RegistryLimits | None = None, zone: EnsName = ZONE) -> Registry:
        """A registry of zone ``gno`` on it."""
        return Registry(zone, TARGET, self, limits or RegistryLimits(), clock=lambda: self.now)
