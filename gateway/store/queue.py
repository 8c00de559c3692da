"""The queue as its operator sees it: lists and figures, a second chance for a job, and house-keeping."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, func, select, update

from gateway.ids import LaneKey
from gateway.store.jobs import Job, JobState, NewJob, insert_held, jobs_of, lane_key
from gateway.store.schema import jobs, lanes


@dataclass(frozen=True, slots=True)
class QueueCount:
    """How many jobs a destination has in one state, and when (ms) the oldest of them was made."""

    destination: str
    state: JobState
    jobs: int
    oldest_at: int


@dataclass(frozen=True, slots=True)
class AddHeld:
    """Set something aside that was part of a job: a job on hold in a lane that exists, which goes on without it."""

    job: NewJob
    reason: str

    def lanes(self) -> tuple[LaneKey, ...]:
        """The job's lane."""
        return (self.job.lane,)

    def apply(self, conn: Connection) -> None:
        """Insert the job."""
        insert_held(conn, self.job, self.reason)


@dataclass(frozen=True, slots=True)
class QueueList:
    """Jobs in ``state``, oldest first, at most ``limit``, of ids after ``after``."""

    state: JobState
    limit: int
    after: int = 0

    def run(self, conn: Connection) -> list[Job]:
        """Read in the order of ids."""
        return jobs_of(
            conn.execute(
                select(jobs)
                .where(jobs.c.state == self.state, jobs.c.id > self.after)
                .order_by(jobs.c.id)
                .limit(self.limit)
            )
        )


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """One ``QueueCount`` for each destination and state that has jobs."""

    def run(self, conn: Connection) -> list[QueueCount]:
        """Group by the destination of the lane."""
        rows = conn.execute(
            select(lanes.c.destination, jobs.c.state, func.count(), func.min(jobs.c.created_at))
            .join_from(jobs, lanes)
            .group_by(lanes.c.destination, jobs.c.state)
            .order_by(lanes.c.destination, jobs.c.state)
        )
        return [QueueCount(destination, JobState(state), count, oldest) for destination, state, count, oldest in rows]


@dataclass(frozen=True, slots=True)
class QueueSize:
    """How many jobs one destination has in any state, and the bytes of their payloads together."""

    destination: str

    def run(self, conn: Connection) -> tuple[int, int]:
        """Read by the jobs' index on lanes: a destination's lanes are neighbours there."""
        # ";" follows ":" in every byte order.
        first, behind = lane_key(self.destination, ""), f"{self.destination};"
        count, size = conn.execute(
            select(func.count(), func.coalesce(func.sum(func.length(jobs.c.payload)), 0)).where(
                jobs.c.lane >= first, jobs.c.lane < behind
            )
        ).one()
        # PostgreSQL sums to NUMERIC.
        return int(count), int(size)


@dataclass(frozen=True, slots=True)
class ReviveJob:
    """Give a job a second chance: ready, tries forgotten, its lane due at once. False when there is no such job."""

    job_id: int

    def wakes(self, result: bool) -> bool:
        """A revived job is work."""
        return result

    def apply(self, conn: Connection) -> bool:
        """Lock the lane, mark the job, make the lane due."""
        lane = _lock_lane_of(conn, self.job_id)
        found = conn.execute(
            update(jobs).where(jobs.c.id == self.job_id).values(state=JobState.READY.value, attempts=0)
        ).rowcount
        if found:
            conn.execute(update(lanes).where(lanes.c.name == lane).values(due=0))
        return found > 0


@dataclass(frozen=True, slots=True)
class DropJob:
    """Remove a job for good, whatever its state. False when there is no such job."""

    job_id: int

    def apply(self, conn: Connection) -> bool:
        """Lock the lane, delete the job, bring the lane's due time up to date."""
        lane = _lock_lane_of(conn, self.job_id)
        found = conn.execute(delete(jobs).where(jobs.c.id == self.job_id)).rowcount
        if lane is not None:
            _idle_when_empty(conn, lane)
        return found > 0


@dataclass(frozen=True, slots=True)
class ExpireJobs:
    """Remove at most ``limit`` jobs on hold whose time is over, and return them.

    Ready jobs are left to the worker, which reports a failure and completes the job in one transaction; the worker
    reported a job on hold in the transaction that set it aside. For those that an operator set aside see
    ``gateway.store.steering.EndSetAside``, which has to come first.
    """

    now: int
    limit: int

    def apply(self, conn: Connection) -> list[Job]:
        """Delete held jobs; they do not count for a lane's due time, so no lane is touched."""
        expired = (
            select(jobs.c.id)
            .where(jobs.c.state == JobState.HOLD, jobs.c.expires_at <= self.now)
            .order_by(jobs.c.expires_at)
            .limit(self.limit)
        )
        removed = conn.execute(delete(jobs).where(jobs.c.id.in_(expired)).returning(jobs))
        return sorted(jobs_of(removed), key=lambda job: job.id)


@dataclass(frozen=True, slots=True)
class SweepLanes:
    """Remove at most ``limit`` lanes that have no job and no holder; returns how many. They are harmless, only rows."""

    now: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Lock candidates, then look at their jobs: a job that is being added has locked its lane before."""
        idle = conn.scalars(
            select(lanes.c.name)
            .where(
                lanes.c.due.is_(None),
                lanes.c.lease_until <= self.now,
                ~exists().where(jobs.c.lane == lanes.c.name),
            )
            .limit(self.limit)
            .with_for_update(skip_locked=True)
        ).all()
        if not idle:
            return 0
        return conn.execute(
            delete(lanes).where(lanes.c.name.in_(idle), ~exists().where(jobs.c.lane == lanes.c.name))
        ).rowcount


def _lock_lane_of(conn: Connection, job_id: int) -> LaneKey | None:
    """Lock the lane row of a job, in a statement of its own; None when there is no such job."""
    lane = conn.scalar(select(jobs.c.lane).where(jobs.c.id == job_id))
    if lane is not None:
        conn.execute(select(lanes.c.name).where(lanes.c.name == lane).with_for_update())
    return lane


def _idle_when_empty(conn: Connection, lane: LaneKey) -> None:
    ready = exists().where(jobs.c.lane == lane, jobs.c.state == JobState.READY)
    conn.execute(update(lanes).where(lanes.c.name == lane, ~ready).values(due=None))
