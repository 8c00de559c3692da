"""Rows by name from the database, read several at a time and kept for a moment.

A read of its own costs every look-up a change of threads and a transaction, several times the row itself. Names that
are asked for while a read is under way wait for the next one and share it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from gateway.errors import LimitExceeded, Unavailable
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.op import Query

LIFE: Final = 1.0
"""Seconds for which a row that was read may be answered from: what other processes write is seen after that."""
TOGETHER: Final = 32
"""Rows of one read."""
READS: Final = 2
"""Reads under way at one time at most."""
SLOW: Final = 0.05
"""Seconds after which those who wait for a read get another: until then the more wait, the less each costs."""
WAITING: Final = 1_000
"""Names that may wait to be read; more are refused, as the store refuses reads."""

T = TypeVar("T")


class Rows(Generic[T]):
    """Answers ``get`` from rows that were read within the last second, else from the database.

    Names without a row are not remembered, so a new one is there at once. Whoever changes or removes a row in this
    process calls ``forget`` after the commit, and no later ``get`` is answered from what was before.
    """

    def __init__(
        self,
        store: Store,
        query: Callable[[tuple[EnsName, ...]], Query[Mapping[EnsName, T]]],
        *,
        life: float = LIFE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``query`` reads the rows of some names, by name; ``clock`` gives monotonic seconds."""
        self._store = store
        self._query = query
        self._life = life
        self._clock = clock
        self._kept: dict[EnsName, tuple[float, T]] = {}
        """End and row, in the order of the ends: all live equally long."""
        self._wanted: dict[EnsName, _Wanted[T]] = {}
        self._queue: deque[_Wanted[T]] = deque()
        self._readers = 0
        self._latest = 0
        """Number of the read that began last."""
        self._begun = 0.0
        """When that was, by the event loop's clock."""
        self._look: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, name: EnsName) -> T | None:
        """The row of ``name``, or None. Raises Unavailable or LimitExceeded, or what the query raises."""
        kept = self._kept.get(name)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        wanted = self._wanted.get(name)
        if wanted is None:
            wanted = self._ask(name)
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        wanted.futures.append(future)
        return await future

    def forget(self, name: EnsName) -> None:
        """Answer nothing more from what was read of ``name`` until now, or is being read."""
        self._kept.pop(name, None)
        self._wanted.pop(name, None)

    def __len__(self) -> int:
        """Rows that are kept."""
        return len(self._kept)

    def _ask(self, name: EnsName) -> _Wanted[T]:
        if len(self._queue) >= WAITING:
            raise LimitExceeded(f"{WAITING} names wait for the database")
        wanted = self._wanted[name] = _Wanted(name)
        self._queue.append(wanted)
        if not self._readers:
            self._start()
        else:
            self._look_later()
        return wanted

    def _start(self) -> None:
        self._readers += 1
        task = asyncio.get_running_loop().create_task(self._read_on())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _look_later(self) -> None:
        if self._look is None and self._readers < READS:
            self._look = asyncio.get_running_loop().call_later(SLOW, self._look_now)

    def _look_now(self) -> None:
        """Those who wait for a slow read are read by another."""
        self._look = None
        if not self._queue or self._readers >= READS:
            return
        if asyncio.get_running_loop().time() - self._begun >= SLOW:
            self._start()
        else:
            self._look_later()

    async def _read_on(self) -> None:
        """Read until nobody waits, or another read began later: it goes on."""
        try:
            while self._queue:
                number = self._latest = self._latest + 1
                self._begun = asyncio.get_running_loop().time()
                await self._read([self._queue.popleft() for _ in range(min(TOGETHER, len(self._queue)))])
                if number != self._latest:
                    break
        finally:
            # Counted here and not when the task is done: those who were answered may ask again before that.
            self._readers -= 1
        if self._queue:
            self._look_later()

    async def _read(self, batch: Sequence[_Wanted[T]]) -> None:
        try:
            rows = await self._store.read(self._query(tuple(wanted.name for wanted in batch)))
        except (Unavailable, LimitExceeded) as error:
            for wanted in batch:
                self._end(wanted, error)
        except Exception:
            for wanted in batch:
                await self._read_alone(wanted)
        else:
            until = self._clock() + self._life
            for wanted in batch:
                row = rows.get(wanted.name)
                self._keep(wanted, row, until)
                self._end(wanted, row)

    async def _read_alone(self, wanted: _Wanted[T]) -> None:
        """One row that cannot be read must not cost the others theirs."""
        try:
            self._end(wanted, (await self._store.read(self._query((wanted.name,)))).get(wanted.name))
        except Exception as error:
            self._end(wanted, error)

    def _keep(self, wanted: _Wanted[T], row: T | None, until: float) -> None:
        # What was forgotten meanwhile may be from before the change.
        if row is None or self._wanted.get(wanted.name) is not wanted:
            return
        self._kept.pop(wanted.name, None)
        self._kept[wanted.name] = until, row
        now = until - self._life
        while (oldest := next(iter(self._kept))) and self._kept[oldest][0] <= now:
            del self._kept[oldest]

    def _end(self, wanted: _Wanted[T], found: T | Exception | None) -> None:
        if self._wanted.get(wanted.name) is wanted:
            del self._wanted[wanted.name]
        for future in wanted.futures:
            if future.done():  # whoever asked has left
                continue
            if isinstance(found, Exception):
                future.set_exception(found)
            else:
                future.set_result(found)


@dataclass(slots=True)
class _Wanted(Generic[T]):
    """A row to be read, and who waits for it."""

    name: EnsName
    futures: list[asyncio.Future[T | None]] = field(default_factory=list)
