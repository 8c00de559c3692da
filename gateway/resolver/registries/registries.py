"""All registries, asked in the order in which they were written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gateway.errors import UnknownName
from gateway.ids import EnsName
from gateway.resolver.calls import Call
from gateway.resolver.records import EMPTY, NameRecords
from gateway.resolver.registries.registry import Registry
from gateway.resolver.registries.wanted import wanted_of

FOLLOWED: Final = "dm3-followed"
"""HTTP header of look-ups that a gateway makes because of a look-up at itself: nobody follows them any further, so two
gateways whose zones lead to each other do not ask for ever. ERC-3668 has no such count."""


class Registries:
    """Where names below some zones come from when nothing of ours knows them."""

    def __init__(self, registries: Iterable[Registry] = ()) -> None:
        self._registries = tuple(registries)

    def covers(self, name: EnsName) -> bool:
        """Whether any of them could know ``name``."""
        return any(registry.covers(name) for registry in self._registries)

    async def find(self, name: EnsName, call: Call, *, followed: bool = False) -> NameRecords:
        """Records of the first that knows ``name``, no records when none does; ``ttl`` is set where one was asked.

        The next is asked only when the one before it is sure that it does not know the name: else whoever can
        silence a registry could have its names answered by another. Raises as `Registry.find`, and UnknownName for a
        name that would have to be followed elsewhere by a look-up that was ``followed`` here from elsewhere already.
        """
        wanted = wanted_of(call)
        ttl: int | None = None
        for registry in self._registries:
            if not registry.covers(name):
                continue
            if followed and registry.follows:
                raise UnknownName("a look-up by another gateway's alias is not followed on")
            finding = await registry.find(name, wanted)
            ttl = finding.ttl if ttl is None else min(ttl, finding.ttl)
            if finding.records is not None:
                return replace(finding.records, ttl=ttl)
        return replace(EMPTY, ttl=ttl)
