"""How much passes through this relay, per interval: the reference's metrics, as CSV."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Response

from gateway.errors import GatewayError
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.mailbox import StoredEnvelope
from gateway.store.traffic import AddTraffic, Interval, TrafficBetween

INTERVAL_SECONDS: Final = 3600
RETENTION_SECONDS: Final = 7 * 24 * 3600
WRITE_SECONDS: Final = 10.0
"""Figures are written this often: a node that dies loses what it counted since."""
RETENTION_MS: Final = RETENTION_SECONDS * 1000
HEAD: Final = "timestampStart,durationSeconds,messageCount,messageSizeBytes,notificationCount"


class Traffic:
    """Counts in memory, written to the store from time to time. ``clock`` gives milliseconds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counted: dict[int, _Counted] = {}

    def count(self, envelope: StoredEnvelope) -> None:
        """One envelope was accepted."""
        now = self._now()
        now.messages += 1
        now.bytes += envelope.size

    def count_notification(self) -> None:
        """Somebody was told by e-mail or push that mail waits."""
        self._now().notifications += 1

    async def run(self) -> None:
        """Write until cancelled, and once more then."""
        writing: asyncio.Task[None] | None = None
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                # Not given up by a stop: nobody would know whether its figures were written.
                writing = asyncio.create_task(self._try_to_write())
                await asyncio.shield(writing)
        finally:
            await asyncio.shield(self._end(writing))

    async def _end(self, writing: asyncio.Task[None] | None) -> None:
        if writing is not None:
            await writing
        await self._try_to_write()

    async def _try_to_write(self) -> None:
        with contextlib.suppress(GatewayError):
            await self.write()

    async def write(self) -> None:
        """Add what was counted to the store's figures; what cannot be written is kept for the next time."""
        while self._counted:
            start, counted = self._counted.popitem()
            figures = Interval(start, counted.messages, counted.bytes, counted.notifications)
            try:
                await self._store.commit(AddTraffic(figures))
            except GatewayError:
                self._add(figures)
                raise

    def router(self) -> APIRouter:
        """`GET /ds/metrics`; `/metrics` itself is for the operator's monitoring."""
        router = APIRouter(tags=["delivery service"])
        for path in ("/ds/metrics", "/ds/metrics/"):
            router.add_api_route(path, self.csv, methods=["GET"], include_in_schema=not path.endswith("/"))
        return router

    async def csv(self) -> Response:
        """Figures per interval of the last seven days as CSV, oldest first; 204 while there are none.

        The interval under way is left out, so that nobody can watch single messages come.
        """
        now = self._interval()
        intervals = await self._store.read(TrafficBetween(now - RETENTION_MS, now))
        if not intervals:
            return Response(status_code=204)
        rows = [
            f"{each.start // 1000},{INTERVAL_SECONDS},{each.messages},{each.bytes},{each.notifications}"
            for each in intervals
        ]
        return Response("\n".join([HEAD, *rows]), media_type="text/csv")

    def _add(self, figures: Interval) -> None:
        counted = self._counted.setdefault(figures.start, _Counted())
        counted.messages += figures.messages
        counted.bytes += figures.bytes
        counted.notifications += figures.notifications

    def _now(self) -> _Counted:
        """What is counted in the present interval."""
        start = self._interval()
        counted = self._counted.get(start)
        if counted is None:
            counted = self._counted[start] = _Counted()
        return counted

    def _interval(self) -> int:
        length = INTERVAL_SECONDS * 1000
        return self._clock() // length * length


@dataclass(slots=True)
class _Counted:
    """What was not written yet of one interval."""

    messages: int = 0
    bytes: int = 0
    notifications: int = 0
