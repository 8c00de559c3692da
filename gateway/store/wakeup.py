"""Waking of workers: an event for this process, which an engine may also set for what other nodes commit."""

from __future__ import annotations

import asyncio


class WorkSignal:
    """Set when jobs were committed; a worker that looks away meanwhile still finds it set."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """There is work."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until set, at most ``seconds``; True when it was set. One waiter's look resets it.

        Everybody who is waiting when it is set is woken; with several workers the one that comes later and finds
        it reset relies on those that were woken, which lease lanes until none is due.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
