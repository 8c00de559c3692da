"""Other domains' mail servers as this node knows them: connections open now, and until when they want to be left alone.

In memory alone: after a restart each destination is tried at once, which is one connection too many at worst.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache

SLOT_WAIT: Final = 5.0
"""Seconds that a mail waits for a free connection; then it makes room for mail to other domains."""
PAUSES: Final = (30.0, 120.0, 600.0, 1800.0)
"""Seconds for which a destination is left alone after the first, second, ... failure in a row."""
_KNOWN: Final = 20_000
_SPREAD: Final = 5.0
"""Seconds over which those who waited come back."""


class Busy(Exception):
    """Nothing was tried: come back after so many seconds."""

    def __init__(self, reason: str, after: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after + random.uniform(0, _SPREAD)  # noqa: S311 - spreads load


@dataclass(slots=True)
class _Failures:
    number: int
    until: float


@dataclass
class Destinations:
    """All of them."""

    limit: int
    """Connections to one destination at the same time."""
    clock: Callable[[], float] = time.monotonic
    _slots: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _users: dict[str, int] = field(default_factory=dict)
    _failures: LRUCache[str, _Failures] = field(default_factory=lambda: LRUCache(_KNOWN))

    @asynccontextmanager
    async def slot(self, domain: str) -> AsyncIterator[None]:
        """Room for one connection; raises Busy when the destination rests or all connections are in use."""
        if (left := self.rests_for(domain)) > 0:
            raise Busy(f"the mail servers of {domain} are left alone for a while", left)
        slots = self._slots.setdefault(domain, asyncio.Semaphore(self.limit))
        self._users[domain] = self._users.get(domain, 0) + 1
        try:
            try:
                async with asyncio.timeout(SLOT_WAIT):
                    await slots.acquire()
            except TimeoutError:
                raise Busy(f"other mail is on its way to {domain}", 0) from None
            try:
                yield
            finally:
                slots.release()
        finally:
            self._users[domain] -= 1
            if not self._users[domain]:
                del self._users[domain], self._slots[domain]

    def rests_for(self, domain: str) -> float:
        """Seconds until it may be tried again; 0 when it may be now."""
        failures = self._failures.get(domain)
        return 0.0 if failures is None else max(0.0, failures.until - self.clock())

    def failed(self, domain: str) -> None:
        """It did not answer, or asked to be left alone. Several failures at one time count once."""
        failures = self._failures.get(domain)
        if failures is not None and failures.until > self.clock():
            return
        number = 0 if failures is None else failures.number
        pause = PAUSES[min(number, len(PAUSES) - 1)]
        self._failures[domain] = _Failures(number + 1, self.clock() + pause)

    def answered(self, domain: str) -> None:
        """It works."""
        self._failures.pop(domain, None)
