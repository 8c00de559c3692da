"""Figures of the relay per interval, summed over all nodes: what the reference publishes as its metrics."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from gateway.store.schema import traffic
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class Interval:
    """What one interval saw; ``start`` in milliseconds since the epoch."""

    start: int
    messages: int = 0
    bytes: int = 0
    notifications: int = 0


@dataclass(frozen=True, slots=True)
class AddTraffic:
    """Add a node's figures to those of an interval."""

    figures: Interval

    def apply(self, conn: Connection) -> None:
        """Insert or add."""
        figures = self.figures
        put = insert(conn, traffic).values(
            interval_start=figures.start,
            messages=figures.messages,
            bytes=figures.bytes,
            notifications=figures.notifications,
        )
        added = {name: traffic.c[name] + put.excluded[name] for name in ("messages", "bytes", "notifications")}
        conn.execute(put.on_conflict_do_update(index_elements=[traffic.c.interval_start], set_=added))


@dataclass(frozen=True, slots=True)
class TrafficBetween:
    """Intervals that began at ``since`` or later and before ``before`` (ms), oldest first."""

    since: int
    before: int

    def run(self, conn: Connection) -> list[Interval]:
        """Read by the key."""
        rows = conn.execute(
            select(traffic)
            .where(traffic.c.interval_start >= self.since, traffic.c.interval_start < self.before)
            .order_by(traffic.c.interval_start)
        )
        return [Interval(row.interval_start, row.messages, row.bytes, row.notifications) for row in rows]


@dataclass(frozen=True, slots=True)
class ForgetTraffic:
    """Remove at most ``limit`` intervals that began before ``before`` (ms); returns how many."""

    before: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        old = (
            select(traffic.c.interval_start)
            .where(traffic.c.interval_start < self.before)
            .order_by(traffic.c.interval_start)
            .limit(self.limit)
        )
        return conn.execute(delete(traffic).where(traffic.c.interval_start.in_(old))).rowcount
