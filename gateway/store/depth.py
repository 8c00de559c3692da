"""How much waits, and since when: figures for whoever watches a node, at a cost that many jobs can bear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from gateway.ids import LaneKey
from gateway.store.jobs import JobState, destination_of, lane_key
from gateway.store.schema import jobs, lanes

MAX_DESTINATIONS: Final = 64
"""Networks and the few kinds of work of our own; a node has about ten."""


@dataclass(frozen=True, slots=True)
class Depth:
    """Jobs of one destination in one state, and when (ms) the first of them was made."""

    destination: str
    state: JobState
    jobs: int
    oldest_at: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """All that waits."""

    depths: tuple[Depth, ...]
    due_since: int | None
    """When (ms) the lane became due that waits longest for a worker; None when none waits."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Counted in the index of the lanes' jobs alone: reading rows would mean reading their payloads."""

    now: int

    def run(self, conn: Connection) -> Waiting:
        """Jump from destination to destination, whose lanes are neighbours in the index."""
        depths: list[Depth] = []
        behind = ""
        for _ in range(MAX_DESTINATIONS):
            first = conn.scalar(select(jobs.c.lane).where(jobs.c.lane >= behind).order_by(jobs.c.lane).limit(1))
            if first is None:
                break
            destination = destination_of(LaneKey(first))
            # ";" follows ":" in every byte order.
            behind = f"{destination};"
            depths += _of(conn, destination, behind)
        free = (lanes.c.due <= self.now, lanes.c.lease_until <= self.now)
        due_since = conn.scalar(select(lanes.c.due).where(*free).order_by(lanes.c.due).limit(1))
        return Waiting(tuple(depths), due_since)


def _of(conn: Connection, destination: str, behind: str) -> list[Depth]:
    counts = conn.execute(
        select(jobs.c.state, func.count(), func.min(jobs.c.id))
        .where(jobs.c.lane >= lane_key(destination, ""), jobs.c.lane < behind)
        .group_by(jobs.c.state)
    ).all()
    return [Depth(destination, JobState(state), count, _made_at(conn, oldest)) for state, count, oldest in counts]


def _made_at(conn: Connection, job: int) -> int:
    return int(conn.execute(select(jobs.c.created_at).where(jobs.c.id == job)).scalar_one())
