"""Periodic cleaning, done by whichever node holds the lease: expired envelopes, jobs, keys, sessions, old knowledge."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from gateway.errors import GatewayError, LeaseLost
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.failed import ForgetFailures
from gateway.store.idempotency import ForgetAnswers
from gateway.store.leases import AcquireLease, Fence, ReleaseLease, RenewLease, UnderLease
from gateway.store.links import DropLinkCodes
from gateway.store.mailbox import ExpireEnvelopes
from gateway.store.messagemap import ForgetMessages
from gateway.store.once import ExpireOnce
from gateway.store.op import Op
from gateway.store.queue import ExpireJobs, SweepLanes
from gateway.store.services import DIALECT_LIFE_MS, ForgetServices
from gateway.store.sessions import ExpireSessions
from gateway.store.status import ForgetStatuses
from gateway.store.steering import EndSetAside
from gateway.store.traffic import ForgetTraffic
from gateway.store.wallet_sessions import ExpireWalletSessions

log = structlog.get_logger(__name__)

PERIOD_SECONDS: Final = 60.0
LEASE: Final = "housekeeping"
LEASE_MS: Final = 120_000
ROWS_AT_ONCE: Final = 1000
HELD_JOBS_AT_ONCE: Final = 20
"""Jobs come back whole when they are removed, and each may have megabytes."""
REPORT_TIME_MS: Final = 6 * 3600 * 1000
"""An expired envelope stays this much longer, so that its job can still tell the sender why it failed."""
LINKS_LIFE_MS: Final = 400 * 24 * 3600 * 1000
"""How long a reply, edit or reaction still finds the message it is about."""
FAILURES_LIFE_MS: Final = 7 * 24 * 3600 * 1000
"""How long the writer of a message that failed can ask for another try."""
FAILURES_AT_ONCE: Final = 100
"""Each may have a megabyte."""
TRAFFIC_LIFE_MS: Final = 8 * 24 * 3600 * 1000
"""A day longer than the relay shows its figures."""
CODES_LIFE_MS: Final = 24 * 3600 * 1000
"""Beyond its life, how long it is known that somebody got a code for a link."""
ANSWERS_LIFE_MS: Final = 24 * 3600 * 1000
"""For which a request that comes again gets the answer of the first."""
CLOCK_STEP_SECONDS: Final = 60.0
"""When the wall clock went this much further than the time that passed, or less far, somebody set it."""
SETTLE_SECONDS: Final = 600.0
"""A clock that was set is not believed for this long: a wrong time is often put right again soon."""


class Housekeeping:
    """Removes what is over; small steps, so that nobody waits behind them.

    ``clock`` is the wall clock, which stored times are compared with; ``monotonic`` (seconds) tells when it was set.
    """

    def __init__(
        self, *, store: Store, owner: str, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._owner = owner
        self._clock = clock
        self._monotonic = monotonic
        self._before: tuple[int, float] | None = None
        self._believe_at = float("-inf")

    async def run(self) -> None:
        """Clean once a minute until cancelled; a round that fails is left to the next."""
        while True:
            try:
                await self.clean()
            except GatewayError as error:
                log.warning("housekeeping.interrupted", error=type(error).__name__, detail=error.detail)
            await asyncio.sleep(PERIOD_SECONDS)

    async def clean(self) -> int:
        """One round, when no other node is at it and the clock can be believed; returns the number of rows removed.

        Raises LeaseLost when another node took over meanwhile, and Unavailable.
        """
        if not self._clock_is_steady():
            return 0
        fence = await self._store.commit(AcquireLease(LEASE, self._owner, self._clock(), LEASE_MS))
        if fence is None:
            return 0
        removed = 0
        try:
            for op in _what_is_over(self._clock()):
                fence, rows = await self._all_of(op, fence)
                removed += rows
        finally:
            with contextlib.suppress(GatewayError):
                await self._store.commit(ReleaseLease(fence))
        if removed:
            log.info("housekeeping.removed", rows=removed)
        return removed

    async def _all_of(self, op: Op[Any], fence: Fence) -> tuple[Fence, int]:
        """Repeat `op` until it finds nothing; the lease in its newest form, and the number of rows."""
        removed = 0
        while True:
            now = self._clock()
            if not self._clock_is_steady():
                raise LeaseLost("the clock was set during a round")
            if fence.until - now < LEASE_MS // 2:
                fence = await self._store.commit(RenewLease(fence, now, LEASE_MS))
            (result,) = await self._store.commit(UnderLease(fence, now, (op,)))
            rows = len(result) if isinstance(result, list) else result
            if rows == 0:
                return fence, removed
            removed += rows

    def _clock_is_steady(self) -> bool:
        """Whether the wall clock went as far as time did since the last look, and has done so for a while."""
        wall, passed = self._clock(), self._monotonic()
        if self._before is not None:
            step = (wall - self._before[0]) / 1000 - (passed - self._before[1])
            if abs(step) > CLOCK_STEP_SECONDS:
                log.warning("housekeeping.clock_set", seconds=round(step))
                self._believe_at = passed + SETTLE_SECONDS
        self._before = wall, passed
        return passed >= self._believe_at


def _what_is_over(now: int) -> tuple[Op[Any], ...]:
    """Each removes a bounded number of rows and gives that number, or the rows."""
    return (
        ExpireEnvelopes(now - REPORT_TIME_MS, ROWS_AT_ONCE),
        EndSetAside(now, ROWS_AT_ONCE),
        ExpireJobs(now, HELD_JOBS_AT_ONCE),
        SweepLanes(now, ROWS_AT_ONCE),
        ExpireOnce(now, ROWS_AT_ONCE),
        ExpireSessions(now, ROWS_AT_ONCE),
        ForgetMessages(now - LINKS_LIFE_MS, ROWS_AT_ONCE),
        ForgetStatuses(now - LINKS_LIFE_MS, ROWS_AT_ONCE),
        ForgetFailures(now - FAILURES_LIFE_MS, FAILURES_AT_ONCE),
        ForgetTraffic(now - TRAFFIC_LIFE_MS, ROWS_AT_ONCE),
        ForgetAnswers(now - ANSWERS_LIFE_MS, ROWS_AT_ONCE),
        ForgetServices(now - DIALECT_LIFE_MS, ROWS_AT_ONCE),
        DropLinkCodes(now - CODES_LIFE_MS, ROWS_AT_ONCE),
        ExpireWalletSessions(now, ROWS_AT_ONCE),
    )
