"""How the database is, for whoever looks after it: what protects commits, how large it is, who holds what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, or_, select

from gateway.store.jobs import JobState
from gateway.store.leases import Fence
from gateway.store.queue import QueueCount
from gateway.store.schema import jobs, lanes, leases

_SQLITE: Final = ("journal_mode", "synchronous")
_POSTGRES: Final = ("server_encoding", "synchronous_commit", "fsync", "server_version")


@dataclass(frozen=True, slots=True)
class Condition:
    """``settings`` by the database's own names, as it spells their values; ``size`` in bytes."""

    settings: Mapping[str, str]
    size: int


@dataclass(frozen=True, slots=True)
class ReadCondition:
    """The condition of the database."""

    def run(self, conn: Connection) -> Condition:
        """Ask in the dialect of the database."""
        if conn.dialect.name == "sqlite":
            settings = {name: str(conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in _SQLITE}
            pages, bytes_each = (
                int(conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("page_count", "page_size")
            )
            return Condition(settings, pages * bytes_each)
        settings = {name: str(conn.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in _POSTGRES}
        size = conn.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        return Condition(settings, int(size))


@dataclass(frozen=True, slots=True)
class ListLeases:
    """Leases that somebody holds at ``now`` (ms), by name."""

    now: int

    def run(self, conn: Connection) -> list[Fence]:
        """Read those whose time is not over."""
        rows = conn.execute(select(leases).where(leases.c.until > self.now).order_by(leases.c.name))
        return [Fence(row.name, row.owner, row.token, row.until) for row in rows]


@dataclass(frozen=True, slots=True)
class ReadWaiting:
    """Ready jobs by destination that could have been done by ``now`` (ms), and those whose tries have failed.

    Left out are those that nobody has tried because their time is still to come, such as reminders.
    """

    now: int

    def run(self, conn: Connection) -> list[QueueCount]:
        """Group by the destination of the lane."""
        rows = conn.execute(
            select(lanes.c.destination, func.count(), func.min(jobs.c.created_at))
            .join_from(jobs, lanes)
            .where(jobs.c.state == JobState.READY, or_(lanes.c.due <= self.now, jobs.c.attempts > 0))
            .group_by(lanes.c.destination)
            .order_by(lanes.c.destination)
        )
        return [QueueCount(destination, JobState.READY, count, oldest) for destination, count, oldest in rows]
