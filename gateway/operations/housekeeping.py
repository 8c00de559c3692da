"""Periodic cleaning, done by whichever node holds the lease: expired envelopes, keys, sessions, old links."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.leases import AcquireLease, ReleaseLease
from gateway.store.mailbox import ExpireEnvelopes
from gateway.store.messagemap import ForgetMessages
from gateway.store.once import ExpireOnce
from gateway.store.sessions import ExpireSessions
from gateway.store.status import ForgetStatuses

log = structlog.get_logger(__name__)

PERIOD_SECONDS: Final = 60.0
LEASE: Final = "housekeeping"
LEASE_MS: Final = 120_000
ROWS_AT_ONCE: Final = 1000
REPORT_TIME_MS: Final = 6 * 3600 * 1000
"""An expired envelope stays this much longer, so that its job can still tell the sender why it failed."""
LINKS_LIFE_MS: Final = 400 * 24 * 3600 * 1000
"""How long a reply, edit or reaction still finds the message it is about."""


class Housekeeping:
    """Removes what is over; small steps, so that nobody waits behind them."""

    def __init__(self, *, store: Store, owner: str, clock: Clock) -> None:
        self._store = store
        self._owner = owner
        self._clock = clock

    async def run(self) -> None:
        """Clean once a minute until cancelled."""
        while True:
            await self.clean()
            await asyncio.sleep(PERIOD_SECONDS)

    async def clean(self) -> int:
        """One round, when no other node is at it; returns the number of rows removed."""
        fence = await self._store.commit(AcquireLease(LEASE, self._owner, self._clock(), LEASE_MS))
        if fence is None:
            return 0
        removed = 0
        try:
            now = self._clock()
            for op in (
                ExpireEnvelopes(now - REPORT_TIME_MS, ROWS_AT_ONCE),
                ExpireOnce(now, ROWS_AT_ONCE),
                ExpireSessions(now, ROWS_AT_ONCE),
                ForgetMessages(now - LINKS_LIFE_MS, ROWS_AT_ONCE),
                ForgetStatuses(now - LINKS_LIFE_MS, ROWS_AT_ONCE),
            ):
                while (step := await self._store.commit(op)) > 0:
                    removed += step
        finally:
            await self._store.commit(ReleaseLease(fence))
        if removed:
            log.info("housekeeping.removed", rows=removed)
        return removed
