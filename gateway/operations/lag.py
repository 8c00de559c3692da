"""How late the event loop is: whatever blocks it keeps everybody waiting."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

TICK_SECONDS: Final = 1.0
REMEMBERED: Final = 60
"""Ticks; more than there are between two scrapes, so that none hides a stop of the loop."""


class Lag:
    """Sleeps again and again, and sees how much later than it wanted it wakes."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def worst(self) -> float:
        """Seconds, within the last minute; 0 as long as nothing was measured."""
        return max(self._late, default=0.0)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            wanted = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._late.append(max(0.0, time.monotonic() - wanted))
