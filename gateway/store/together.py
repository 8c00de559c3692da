"""Small reads that share a way: one change of threads and one snapshot for all that are wanted in one turn.

On SQLite a row costs a few microseconds, and several times that to have a thread fetch it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection

from gateway.store.op import Query

T = TypeVar("T")

AT_ONCE: Final = 32
"""Queries of one read."""
READS: Final = 2
"""Reads under way at one time; what is wanted meanwhile waits for the next one."""


class Together:
    """Runs queries in groups, with a way to read that runs one piece of work."""

    def __init__(self, read: Callable[[Callable[[Connection], list[Any]]], Awaitable[list[Any]]]) -> None:
        self._read = read
        self._waiting: deque[_Wanted] = deque()
        self._reads = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, query: Query[T]) -> T:
        """The result of the query; raises what it raises."""
        wanted = _Wanted(query, asyncio.get_running_loop().create_future())
        self._waiting.append(wanted)
        if self._reads < READS:
            # The task begins when this turn of the event loop is over, and so finds all that it brings.
            self._reads += 1
            task = asyncio.create_task(self._read_on())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return cast("T", await wanted.found)

    async def close(self) -> None:
        """Return when nobody waits any more."""
        await asyncio.gather(*self._tasks)

    async def _read_on(self) -> None:
        """Read until nobody waits."""
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                await self._read_group([wanted for wanted in group if not wanted.found.done()])
        finally:
            # Counted here and not when the task is done: those who were answered may ask again before that.
            self._reads -= 1

    async def _read_group(self, group: Sequence[_Wanted]) -> None:
        if not group:
            return
        try:
            found = await self._read(lambda conn: [wanted.query.run(conn) for wanted in group])
        except Exception as error:
            if len(group) == 1:
                group[0].fail(error)
                return
            # What cannot be read must not cost the others theirs.
            for wanted in group:
                await self._read_group([wanted])
            return
        for wanted, result in zip(group, found, strict=True):
            if not wanted.found.done():  # whoever asked may have left
                wanted.found.set_result(result)


@dataclass(slots=True)
class _Wanted:
    """A query, and who waits for its result."""

    query: Query[Any]
    found: asyncio.Future[Any]

    def fail(self, error: Exception) -> None:
        if not self.found.done():
            self.found.set_exception(error)
