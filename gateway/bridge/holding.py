"""Work that one node does at a time, such as the one connection that a network allows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway.errors import GatewayError, LeaseLost
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.leases import AcquireLease, Fence, ReleaseLease, RenewLease

log = structlog.get_logger(__name__)

LEASE_MS: Final = 12_000
"""How long a node that died keeps the right; a take-over is done three seconds later at most."""
RENEW_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 1.0
RELEASE_SECONDS: Final = 5.0
"""A node that stops waits no longer for its store; the lease runs out."""


class Holding:
    """The right to some work, among the nodes of one database."""

    def __init__(self, store: Store, owner: str, clock: Clock) -> None:
        self._store = store
        self._owner = owner
        self._clock = clock

    async def hold(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` whenever this node has the right to it, until cancelled; it is cancelled when the right is lost.

        When ``work`` ends by itself the right is given back; what it raises is raised.
        """
        while True:
            fence = await self._acquired(what)
            task = asyncio.ensure_future(work())
            try:
                fence = await self._kept(fence, task)
                if task.done():
                    await task
                    return
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                with contextlib.suppress(GatewayError, TimeoutError):
                    async with asyncio.timeout(RELEASE_SECONDS):
                        await asyncio.shield(self._store.commit(ReleaseLease(fence)))

    async def _acquired(self, what: str) -> Fence:
        while True:
            try:
                fence = await self._store.commit(AcquireLease(what, self._owner, self._clock(), LEASE_MS))
            except GatewayError as error:
                log.warning("hold.no_lease", what=what, error=type(error).__name__)
                fence = None
            if fence is not None:
                return fence
            await asyncio.sleep(LOOK_SECONDS)

    async def _kept(self, fence: Fence, task: asyncio.Future[None]) -> Fence:
        """Renew until the work ends or the right is lost."""
        while not task.done():
            await asyncio.wait({task}, timeout=RENEW_SECONDS)
            if task.done():
                break
            left = max(0, fence.until - self._clock()) / 1000
            try:
                # A store that does not answer says nothing about the lease, which ends all the same.
                async with asyncio.timeout(left):
                    fence = await self._store.commit(RenewLease(fence, self._clock(), LEASE_MS))
            except TimeoutError:
                log.warning("hold.over", what=fence.name, error="TimeoutError")
                break
            except LeaseLost:
                log.warning("hold.lost", what=fence.name)
                break
            except GatewayError as error:
                if self._clock() >= fence.until:
                    log.warning("hold.over", what=fence.name, error=type(error).__name__)
                    break
        return fence
