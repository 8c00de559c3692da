"""Keeping the lease of a lane while its jobs take their time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from gateway.errors import LeaseLost
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.jobs import Job
from gateway.store.lanes import ExtendLease, LaneLease

log = structlog.get_logger(__name__)

LEASE_MS: Final = 12_000
"""After a node dies its lanes are taken over within this time; the promise is 15 s."""
EXTEND_AFTER_SECONDS: Final = 3.0


class Keeper:
    """A lease and its newest form: whoever works in `extending` is cancelled when it is lost, and not before."""

    def __init__(self, store: Store, clock: Clock, lease: LaneLease) -> None:
        self.lease = lease
        self.released = False
        """True once the lane was given back together with its last job: from then on it may be another's."""
        self.next: Job | None = None
        """The job behind the one that is done, where its end told."""
        self._store = store
        self._clock = clock
        self._lost: LeaseLost | None = None

    @contextlib.asynccontextmanager
    async def extending(self) -> AsyncIterator[None]:
        """Extend from time to time; raises LeaseLost in place of the cancellation of what is inside."""
        serving = asyncio.current_task()
        keeper = asyncio.create_task(self._extend(serving), name=f"keeper {self.lease.lane}")
        try:
            yield
        except asyncio.CancelledError:
            if self._lost is not None:
                raise self._lost from None
            raise
        finally:
            keeper.cancel()

    async def extend(self) -> None:
        """Hold the lane for a further `LEASE_MS`; raises LeaseLost when it is not ours any more."""
        self.lease = await self._store.commit(ExtendLease(self.lease, self._clock(), LEASE_MS))

    async def _extend(self, serving: asyncio.Task[object] | None) -> None:
        while self._lost is None:
            await asyncio.sleep(EXTEND_AFTER_SECONDS)
            if self.released:
                return
            try:
                async with asyncio.timeout(max(0, self.lease.lease_until - self._clock()) / 1000):
                    await self.extend()
            except LeaseLost as error:
                self._lost = error
            except Exception as error:
                # A store that is away for a moment is no reason to break off a delivery: the lane is still ours.
                log.warning("lane.not_extended", lane=self.lease.lane, error=type(error).__name__)
                if self._clock() >= self.lease.lease_until:
                    self._lost = LeaseLost(f"the lease of lane {self.lease.lane!r} ran out")
        if serving is not None:
            serving.cancel()
