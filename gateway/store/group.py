"""Group commit: units that wait while a transaction is being flushed go together into the next one.

No delay is added to fill a group: the first unit after a pause is committed with whatever the event loop has at hand,
and the time its flush takes is what gathers the others. A caller gets its result only after the commit that holds it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, select

from gateway.errors import GatewayError, LimitExceeded, Unavailable
from gateway.store.among import among
from gateway.store.faults import Fault, diagnose
from gateway.store.op import Mergeable, Op, apply_in_order, lanes_of, locks_first, mailboxes_of, mergeable, wakes
from gateway.store.schema import lanes
from gateway.store.usage import lock

log = structlog.get_logger(__name__)

T = TypeVar("T")

Unit = tuple[Op[Any], ...]
"""Operations that are committed all or not at all."""

BATCH_LIMIT: Final = 256
"""Units in one transaction."""

GATHERED: Final = 64
"""Units after which a transaction is begun however many more the event loop brings."""

QUEUE_LIMIT: Final = 10_000
"""Units that may wait; more are refused."""

CONFLICT_TRIES: Final = 5
"""How often one unit is tried when it meets other writers."""


class Transact(Protocol):
    """Runs work in one transaction, committed when it returns."""

    async def __call__(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``."""
        ...


@dataclass(slots=True)
class _Waiting:
    unit: Unit
    done: asyncio.Future[tuple[Any, ...]]


class GroupCommit:
    """The queue before the writer. ``start`` before the first ``submit``; ``close`` commits what still waits."""

    def __init__(
        self,
        transact: Transact,
        on_work: Callable[[], None],
        *,
        flushers: int = 1,
        batch_limit: int = BATCH_LIMIT,
        queue_limit: int = QUEUE_LIMIT,
        committed: Callable[[int], None] = lambda _units: None,
    ) -> None:
        """``committed`` is told the number of units of each transaction."""
        self._transact = transact
        self._on_work = on_work
        self._flushers = flushers
        self._batch_limit = batch_limit
        self._queue_limit = queue_limit
        self._committed = committed
        self._waiting: deque[_Waiting] = deque()
        self._filled = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the tasks that flush."""
        self._tasks = [asyncio.create_task(self._run(), name=f"store-flush-{n}") for n in range(self._flushers)]

    async def submit(self, unit: Unit) -> tuple[Any, ...]:
        """Commit ``unit`` and return the results of its operations.

        Raises the unit's own error, ``LimitExceeded`` when too many wait, ``Unavailable`` when the database did not
        commit or it is not known whether it did. A caller that is cancelled while its unit waits takes it back; once
        the unit is being written it may be committed all the same.
        """
        if self._closing:
            raise Unavailable("the store is closing")
        if len(self._waiting) >= self._queue_limit:
            raise LimitExceeded(f"{len(self._waiting)} units wait for the database")
        waiting = _Waiting(unit, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._filled.set()
        return await waiting.done

    async def close(self) -> None:
        """Refuse new units, commit those that wait, stop."""
        self._closing = True
        self._filled.set()
        await asyncio.gather(*self._tasks)

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            await self._gather()
            batch = self._take()
            if batch:
                await self._flush_safely(batch)
            elif self._closing:
                return
            else:
                self._filled.clear()

    async def _gather(self) -> None:
        """Let the event loop turn while its turns bring units: requests that came in together are written together."""
        known, idle = len(self._waiting), 0
        # A request that has just arrived is read in one turn and served in the next.
        while idle < 2 and known < GATHERED:
            await asyncio.sleep(0)
            idle = 0 if len(self._waiting) > known else idle + 1
            known = len(self._waiting)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._batch_limit:
            waiting = self._waiting.popleft()
            if not waiting.done.done():
                batch.append(waiting)
        return batch

    async def _flush_safely(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._flush(batch)
        except Exception as error:
            # A mistake in an operation must not stop the writer for everybody else.
            log.exception("store.flush_failed", units=len(batch))
            for waiting in batch:
                _fail(waiting, error)

    async def _flush(self, batch: Sequence[_Waiting]) -> None:
        units = [waiting.unit for waiting in batch]
        try:
            results = await self._transact(lambda conn: apply_units(conn, units))
        except Exception as error:
            fault, told = diagnose(error)
            if fault is Fault.OUTAGE:
                log.warning("store.unavailable", units=len(batch), reason=str(told))
                for waiting in batch:
                    _fail(waiting, Unavailable(str(told)))
            elif len(batch) == 1 and fault is Fault.OWN:
                _fail(batch[0], told)
            else:
                log.info("store.batch_split", units=len(batch), reason=type(error).__name__)
                for waiting in batch:
                    await self._flush_alone(waiting)
        else:
            self._succeed(batch, results)

    async def _flush_alone(self, waiting: _Waiting) -> None:
        for attempt in range(CONFLICT_TRIES):
            if waiting.done.done():
                return
            try:
                results = await self._transact(lambda conn: apply_units(conn, [waiting.unit]))
            except Exception as error:
                fault, told = diagnose(error)
                if fault is Fault.CONFLICT and attempt + 1 < CONFLICT_TRIES:
                    await asyncio.sleep(0.01 * 2**attempt)
                    continue
                _fail(waiting, told)
            else:
                self._succeed([waiting], results)
            return

    def _succeed(self, batch: Sequence[_Waiting], results: Sequence[tuple[Any, ...]]) -> None:
        self._committed(len(batch))
        for waiting, result in zip(batch, results, strict=True):
            if len(result) == 1 and isinstance(result[0], GatewayError):
                _fail(waiting, result[0])
            elif not waiting.done.done():
                waiting.done.set_result(result)
        if any(any(map(wakes, waiting.unit, result)) for waiting, result in zip(batch, results, strict=True)):
            self._on_work()


def apply_units(conn: Connection, units: Sequence[Unit]) -> list[tuple[Any, ...]]:
    """Apply ``units`` in their order inside the open transaction of ``conn``; one tuple of results each.

    Neighbouring units that are one operation of the same mergeable class are applied by one call.
    """
    runs = [(kind, list(run)) for kind, run in groupby(units, key=_merge_class)]
    if conn.dialect.name == "postgresql":
        lock(conn, {mailbox for unit in units for op in unit for mailbox in mailboxes_of(op)})
        _lock_lanes(conn, runs)
    results: list[tuple[Any, ...]] = []
    for merged, alike in runs:
        # One that is refused alone must not cost its neighbours of other classes their transaction either.
        if merged is not None and len(units) > 1:
            merged_results = merged.apply_many(conn, [unit[0] for unit in alike])
            results.extend((result,) for _, result in zip(alike, merged_results, strict=True))
        else:
            results.extend(tuple(apply_in_order(conn, unit)) for unit in alike)
    return results


def _merge_class(unit: Unit) -> type[Mergeable] | None:
    return mergeable(unit[0]) if len(unit) == 1 else None


def _lock_lanes(conn: Connection, runs: Sequence[tuple[type[Mergeable] | None, Sequence[Unit]]]) -> None:
    """Lock the rows of all lanes of the batch in one order (see ``gateway.store.op.Locking``)."""
    touched = [{lane for unit in run for op in unit for lane in lanes_of(op)} for _, run in runs]
    first = runs[0][0]
    if first is not None and locks_first(first) and not any(touched[1:]):
        # It is about to do the same.
        return
    together = set().union(*touched)
    if len(together) > 1:
        conn.execute(_LOCK_LANES, {"lanes": sorted(together)})


_LOCK_LANES: Final = select(lanes.c.name).where(among(lanes.c.name, "lanes")).order_by(lanes.c.name).with_for_update()


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
