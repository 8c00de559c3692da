"""Where heavy computing is done: small pieces on the event loop, large ones in a few threads beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, ParamSpec, TypeVar

INLINE_BYTES: Final = 65_536
"""Up to here the work takes about a millisecond, and a thread would cost more than it spares."""
THREADS: Final = 2
"""Large pieces worked on at once; each holds megabytes several times over, and others need threads too."""

NAME_BYTES: Final = INLINE_BYTES
"""What a name outside ASCII weighs: ENSIP-15 takes about a millisecond for it."""

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """Keeps the event loop turning while large envelopes and messages are parsed, opened, signed and sealed."""

    def __init__(self, *, threads: int = THREADS) -> None:
        self._free = asyncio.Semaphore(threads)

    async def run(self, size: int, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(...)` on input of `size` bytes; raises what it raises."""
        if size <= INLINE_BYTES:
            return work(*args, **kwargs)
        async with self._free:
            return await asyncio.to_thread(work, *args, **kwargs)


def outside_ascii(names: Iterable[str]) -> int:
    """How many different ones of these names take time to normalise."""
    return len({name for name in names if not name.isascii()})
