"""Heavy computing beside the event loop, a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

OFF_LOOP_BYTES: Final = 64_000
"""Work on more than this goes to a thread: a megabyte takes tens of milliseconds to parse, sign or seal."""
THREADS: Final = 2
"""Each holds a message of megabytes several times over, and the pool of threads serves others too."""


class OffLoop:
    """Runs pure functions; large ones in a thread, few at the same time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(THREADS)

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """What `work` returns or raises; `size` is the number of bytes or characters that it goes through."""
        if size <= OFF_LOOP_BYTES:
            return work()
        async with self._turns:
            return await asyncio.to_thread(work)
