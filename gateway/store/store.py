"""The store: one database behind commit, read and a signal for workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from sqlalchemy import Connection, inspect, text

from gateway.errors import LimitExceeded, RestoreUnfinished, SchemaMismatch, Unavailable
from gateway.store.engine import Dialect, Engine, dialect_of, sqlite_path
from gateway.store.faults import reraise
from gateway.store.group import BATCH_LIMIT, QUEUE_LIMIT, GroupCommit
from gateway.store.op import Op, Query
from gateway.store.schema import HISTORY, RESTORING
from gateway.store.sqlite import SqliteEngine, file_exists
from gateway.store.together import Together
from gateway.store.wakeup import WorkSignal

T = TypeVar("T")

POLL_S: Final = 1.0
"""Longest wait for work: lanes in back-off become due by time alone, and another process may have added jobs."""

READ_LIMIT: Final = 1_000
"""Reads that may be under way or wait; more are refused."""


def now_ms() -> int:
    """Milliseconds since the epoch by the clock of this machine."""
    return time.time_ns() // 1_000_000


class Store:
    """Open one with ``Store.open``; every write goes through ``commit`` or ``commit_all``, every read through ``read``.

    ``clock`` gives milliseconds since the epoch and is here for callers to fill the times of their operations; the
    store itself asks no clock.
    """

    def __init__(
        self,
        engine: Engine,
        group: GroupCommit,
        signal: WorkSignal,
        clock: Callable[[], int],
    ) -> None:
        self.clock = clock
        self._engine = engine
        self._group = group
        self._signal = signal
        # On PostgreSQL each query is a round trip; there are connections for several of them at a time.
        self._together = Together(engine.read) if engine.dialect == "sqlite" else None
        self._reads = 0
        self._closed = False

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Callable[[], int] = now_ms,
        batch_limit: int = BATCH_LIMIT,
        queue_limit: int = QUEUE_LIMIT,
        committed: Callable[[int], None] = lambda _units: None,
        restoring: bool = False,
    ) -> Self:
        """Connect to ``url`` (``sqlite:///path`` or ``postgresql://user@host/db``) and check its schema.

        ``committed`` is told how many units each transaction had. ``restoring`` is for a restore alone: it opens the
        database that it is at work on, and no other.

        Raises ``ConfigError`` for a URL or server we cannot work with, ``Unavailable`` when the database does not
        answer, ``SchemaMismatch`` when its revision is not exactly ours, ``RestoreUnfinished`` when a restore of it is
        not done.
        """
        if dialect_of(url) == "sqlite" and not file_exists(sqlite_path(url)):
            raise SchemaMismatch(f"there is no database {sqlite_path(url)} yet: run `dm3-gateway migrate`")
        engine = _engine_of(url)
        try:
            await engine.check()
            check_revision(await engine.read(stored_revision), (*HISTORY, RESTORING) if restoring else HISTORY)
        except Exception as error:
            await engine.close()
            reraise(error)
        signal = WorkSignal()

        def on_work() -> None:
            signal.set()
            engine.announce()

        group = GroupCommit(
            engine.transact,
            on_work,
            flushers=engine.flushers,
            batch_limit=batch_limit,
            queue_limit=queue_limit,
            committed=committed,
        )
        group.start()
        engine.listen(signal.set)
        return cls(engine, group, signal, clock)

    @property
    def dialect(self) -> Dialect:
        """Which database this is."""
        return self._engine.dialect

    async def commit(self, op: Op[T]) -> T:
        """Apply ``op`` and return its result once it is safe on disk.

        Raises what ``op`` raises to refuse; ``Unavailable`` when the database did not commit or nobody knows whether
        it did; ``LimitExceeded`` when too much waits; ``InvalidInput`` for a value the database cannot hold.
        """
        return cast("T", (await self._group.submit((op,)))[0])

    async def commit_all(self, *ops: Op[Any]) -> tuple[Any, ...]:
        """Apply ``ops`` in one transaction, all or none; their results in order. Raises as ``commit`` does."""
        return await self._group.submit(ops) if ops else ()

    async def read(self, query: Query[T]) -> T:
        """Run ``query`` on committed data. Raises ``Unavailable`` or ``LimitExceeded``, or what the query raises."""
        with self._reading():
            return await self._engine.read(query.run)

    async def look_up(self, query: Query[T]) -> T:
        """As ``read``, for one row or a few by an index: what is looked up at the same time may share a snapshot."""
        if self._together is None:
            return await self.read(query)
        with self._reading():
            return await self._together.run(query)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._closed:
            raise Unavailable("the store is closed")
        if self._reads >= READ_LIMIT:
            raise LimitExceeded(f"{self._reads} reads wait for the database")
        self._reads += 1
        try:
            yield
        except Exception as error:
            reraise(error)
        finally:
            self._reads -= 1

    async def wait_for_work(self, timeout: float) -> bool:
        """Wait until jobs were committed by us or another node; True then. At most ``timeout`` and ``POLL_S``, in s."""
        return await self._signal.wait(min(timeout, POLL_S))

    async def close(self) -> None:
        """Commit what waits, then disconnect. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        await self._group.close()
        if self._together is not None:
            await self._together.close()
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _engine_of(url: str) -> Engine:
    if dialect_of(url) == "sqlite":
        return SqliteEngine(sqlite_path(url))
    # SQLAlchemy's asynchronous side takes a quarter of a second to import, which SQLite does not need.
    from gateway.store.postgres import PostgresEngine

    return PostgresEngine(url)


def stored_revision(conn: Connection) -> str | None:
    """Alembic revision that the database says it has; None for a database without our tables."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check_revision(found: str | None, known: Sequence[str]) -> None:
    """Raise ``SchemaMismatch`` unless ``found`` is the last of ``known``, saying which side must be brought up."""
    if found == known[-1]:
        return
    if found == RESTORING:
        raise RestoreUnfinished
    if found is None:
        raise SchemaMismatch("the database is empty: run `dm3-gateway migrate`")
    if found in known:
        raise SchemaMismatch(
            f"the database has revision {found}, this program needs {known[-1]}: run `dm3-gateway migrate`"
        )
    raise SchemaMismatch(
        f"the database has revision {found}, which is newer than this program ({known[-1]}): install the newer version"
    )
