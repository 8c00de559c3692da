"""Who wants to be told: asked for every envelope, so remembered for some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from gateway.ids import EthAddress
from gateway.store import Store
from gateway.store.channels import ChannelKind, UsableChannels

REMEMBERED_SECONDS: Final = 5.0
"""So long another node may not know yet that somebody switched notifications on; off is looked at once more later."""
PLACES: Final = 20_000


class Wishes:
    """Whether an address can be told by one of ``kinds``; ``timer`` gives monotonic seconds."""

    def __init__(
        self,
        store: Store,
        kinds: frozenset[ChannelKind],
        *,
        seconds: float = REMEMBERED_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._known: TTLCache[EthAddress, bool] = TTLCache(PLACES, seconds, timer=timer)
        self._changes = 0

    async def wants(self, address: EthAddress) -> bool:
        """One look into the store, or none: when it is remembered, and when there is nothing to be told by."""
        if not self._kinds:
            return False
        known = self._known.get(address)
        if known is not None:
            return known
        changes = self._changes
        found = bool(await self._store.read(UsableChannels(address, self._kinds)))
        # What was read before somebody changed it must not be remembered after.
        if changes == self._changes:
            self._known[address] = found
        return found

    def changed(self, address: EthAddress) -> None:
        """Forget what was known of an address, after its settings were changed here."""
        self._changes += 1
        self._known.pop(address, None)
