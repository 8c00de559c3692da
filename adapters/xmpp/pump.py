"""Stanzas on their way in: each conversation in order, all of them within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final
from xml.etree.ElementTree import Element

import structlog

log = structlog.get_logger(__name__)

MOST: Final = 500
"""Stanzas that wait; then nothing more is read from the server."""
FEW: Final = 250
"""So few may be left before it is read again."""
MOST_OF_A_PAIR: Final = 150
"""Stanzas of one pair that wait: more than a person sends in a minute, and less than would stop the reading."""
TOGETHER: Final = 50
"""Stanzas of one pair that are handed over at a time."""


class Pump:
    """``handle`` gets the stanzas of one pair of addresses in their order, those that wait together; what it raises is
    logged.

    ``pause`` is told when there are too many, and when there are few again; ``refuse`` gets what is one too many of a
    pair whose stanzas are slow, so that nobody else waits for them.
    """

    def __init__(
        self,
        handle: Callable[[list[Element]], Awaitable[None]],
        pause: Callable[[bool], None],
        refuse: Callable[[Element], None],
    ) -> None:
        self._handle = handle
        self._pause = pause
        self._refuse = refuse
        self._waiting: dict[tuple[str, str], deque[Element]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._paused = False

    def take(self, stanza: Element) -> None:
        """One more."""
        key = (_bare(stanza.get("from")), _bare(stanza.get("to")))
        queue = self._waiting.get(key)
        if queue is not None and len(queue) >= MOST_OF_A_PAIR:
            self._refuse(stanza)
            return
        self._count += 1
        if self._count >= MOST:
            # Each time: a new connection is not paused.
            self._paused = True
            self._pause(True)
        if queue is not None:
            queue.append(stanza)
            return
        self._waiting[key] = deque((stanza,))
        task = asyncio.create_task(self._work(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, seconds: float) -> None:
        """Let what waits be handled, for some seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        if self._count:
            log.warning("stanzas.left", waiting=self._count)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._count, self._paused = 0, False

    async def _work(self, key: tuple[str, str]) -> None:
        queue = self._waiting[key]
        try:
            while queue:
                stanzas = [queue.popleft() for _ in range(min(TOGETHER, len(queue)))]
                try:
                    await self._handle(stanzas)
                except Exception:
                    log.exception("stanza.failed")
                self._count -= len(stanzas)
                if self._paused and self._count <= FEW:
                    self._paused = False
                    self._pause(False)
        finally:
            self._waiting.pop(key, None)


def _bare(jid: str | None) -> str:
    return (jid or "").partition("/")[0]
