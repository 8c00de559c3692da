"""Names for people who never wrote: issued when somebody looks one up who may want to write to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from cachetools import TTLCache

from gateway.custody.identities import Identities
from gateway.ens.escapes import BridgedName
from gateway.errors import PersonDeleted, Unavailable
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock
from gateway.rates import Rate
from gateway.sdk.adapter import Adapter, ResolvesAddress
from gateway.store import Store
from gateway.store.identities import Identity, IssueIdentity

log = structlog.get_logger(__name__)

ASK_SECONDS: Final = 5.0
"""For an answer of the network: somebody's look-up waits."""
ABSENT_SECONDS: Final = 60.0
"""For which a network is not asked again about somebody whom it does not know."""
ABSENT: Final = 10_000
ASKED_PER_MINUTE: Final = 600
"""Questions to one network; names that exist already need none."""


class Newcomers:
    """Asks the networks that can tell whether somebody exists."""

    def __init__(
        self,
        store: Store,
        identities: Identities,
        adapters: Mapping[Network, Adapter],
        clock: Clock,
        changed: Callable[[EnsName], None],
    ) -> None:
        """``changed``: told the name of a person whose row is new, after the commit."""
        self._store = store
        self._identities = identities
        self._adapters = adapters
        self._clock = clock
        self._changed = changed
        self._absent: TTLCache[EnsName, bool] = TTLCache(ABSENT, ABSENT_SECONDS)
        self._rate = Rate(ASKED_PER_MINUTE)

    async def admit(self, bridged: BridgedName) -> Identity | None:
        """The identity of a person of a network, issued now; None for somebody whom the network does not know, or who
        was deleted here.

        Raises Unavailable and LimitExceeded when that cannot be found out now.
        """
        adapter: object = self._adapters.get(bridged.network)
        if bridged.canonical_id is None or bridged.name in self._absent or not isinstance(adapter, ResolvesAddress):
            return None
        self._rate.take(bridged.network)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                exists = await adapter.exists(bridged.canonical_id)
        except TimeoutError:
            raise Unavailable(f"{bridged.network} does not say whether somebody exists") from None
        if not exists:
            self._absent[bridged.name] = True
            return None
        draft = self._identities.draft(bridged.network, bridged.canonical_id, now_ms=self._clock())
        try:
            identity = await self._store.commit(IssueIdentity(draft))
        except PersonDeleted:
            self._absent[bridged.name] = True
            return None
        self._changed(bridged.name)
        log.info("identity.issued", network=bridged.network, reason="looked up")
        return identity
