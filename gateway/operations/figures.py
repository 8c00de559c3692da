"""What a scrape tells besides counters: what waits in the store, and how the components are."""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import GatewayError
from gateway.lifecycle import Clock
from gateway.operations.health import Health
from gateway.operations.lag import Lag
from gateway.store import Store
from gateway.store.depth import QueueDepth, Waiting

FRESH_SECONDS: Final = 5.0
"""For which figures of the store hold, however many scrape."""


@dataclass(frozen=True, slots=True)
class Disk:
    """In bytes."""

    size: int
    free: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A moment of this node; ages in seconds."""

    waiting: Waiting | None
    """None when the store does not answer."""
    states: Mapping[str, str]
    """``ok``, or what is wrong, by component."""
    lag: float
    backup_age: float | None
    """Of the newest file in the folder of backups; None when there is none."""
    disk: Disk | None
    """That of the keys and of SQLite."""
    now: int
    """Milliseconds since the epoch."""


class Moments:
    """Reads figures when somebody asks, and keeps them for some seconds."""

    def __init__(
        self,
        *,
        store: Store,
        health: Health,
        lag: Lag,
        backups: Path,
        data: Path,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """``backups`` is the folder of backups, ``data`` lies on the disk that must not fill."""
        self._store = store
        self._health = health
        self._lag = lag
        self._backups = backups
        self._data = data
        self._clock = clock
        self._seconds = seconds
        self._reading = asyncio.Lock()
        self._known: tuple[Waiting | None, float | None, Disk | None] = (None, None, None)
        self._known_at = -math.inf

    async def now(self) -> Figures:
        """The figures; what cannot be read is missing, for a scrape must tell what there is."""
        states = await self._health.states()
        async with self._reading:
            if self._seconds() - self._known_at >= FRESH_SECONDS:
                disk = await asyncio.to_thread(lambda: (_age_of_newest(self._backups), _disk_of(self._data)))
                self._known = (await self._waiting(), *disk)
                self._known_at = self._seconds()
            waiting, backup_age, disk_now = self._known
        return Figures(waiting, states, self._lag.worst, backup_age, disk_now, self._clock())

    async def _waiting(self) -> Waiting | None:
        try:
            return await self._store.read(QueueDepth(self._clock()))
        except GatewayError:
            return None


def _age_of_newest(folder: Path) -> float | None:
    try:
        # What is being written, or was when a process died, is hidden: it is no backup.
        times = [each.stat().st_mtime for each in folder.iterdir() if each.is_file() and not each.name.startswith(".")]
    except OSError:
        return None
    return max(0.0, time.time() - max(times)) if times else None


def _disk_of(place: Path) -> Disk | None:
    try:
        found = shutil.disk_usage(place)
    except OSError:
        return None
    return Disk(found.total, found.free)
