"""Lanes: ordered queues that a worker leases as a whole, and the fenced steps of its work on them.

A lane is one conversation at one destination. Its jobs are done in the order of their ids by the one worker that
holds its lease. ``lanes.due`` is null exactly when no job of the lane is ready, and whoever could change that locks
the lane's row in a statement of its own before it looks at the jobs: under READ COMMITTED a later statement then
sees every job that was there when the lock was got.

Expired jobs: the worker meets a job whose ``expires_at`` has passed when its turn comes, reports the failure and
completes it in one transaction. Only jobs on hold are expired here (``gateway.store.queue.ExpireJobs``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Integer, Select, bindparam, case, delete, exists, func, null, select, update

from gateway.errors import LeaseLost
from gateway.ids import LaneKey
from gateway.store.among import among
from gateway.store.jobs import Enqueue, Job, JobState, NewJob, destination_of, jobs_of, lane_key
from gateway.store.queue import DropJob, ExpireJobs, QueueCount, QueueCounts, QueueList, ReviveJob, SweepLanes
from gateway.store.schema import Millis, jobs, lanes

__all__ = [
    "DropJob",
    "Enqueue",
    "ExpireJobs",
    "ExtendLease",
    "FinishJob",
    "Finished",
    "HoldJob",
    "Job",
    "JobState",
    "LaneJobs",
    "LaneLease",
    "LeaseLanes",
    "NewJob",
    "QueueCount",
    "QueueCounts",
    "QueueList",
    "ReleaseLane",
    "RetryJob",
    "ReviveJob",
    "SaveJob",
    "SweepLanes",
    "destination_of",
    "lane_key",
]


@dataclass(frozen=True, slots=True)
class LaneLease:
    """The right of ``owner`` to work on ``lane`` until ``lease_until`` (ms).

    ``token`` rises with every lease of the lane, so that an owner who lost a lane and got it again cannot mistake
    its old lease for the new one.
    """

    lane: LaneKey
    owner: str
    lease_until: int
    token: int
    first: Job | None = field(default=None, compare=False, repr=False)
    """The job that was the first of the lane when it was leased: nobody but the holder ends it."""


@dataclass(frozen=True, slots=True)
class LeaseLanes:
    """Lease up to ``limit`` lanes that are due and that nobody holds, the longest waiting first.

    Lanes of the destinations ``except_for`` are left alone, and no destination gets more than its ``rooms``, or
    ``share`` where it has none. Beyond ``own`` lanes, half of what is due is left to other nodes.
    """

    owner: str
    now: int
    lease_ms: int
    limit: int
    own: int | None = None
    except_for: tuple[str, ...] = ()
    share: int | None = None
    rooms: Mapping[str, int] = field(default_factory=dict)

    def apply(self, conn: Connection) -> list[LaneLease]:
        """Pick and lock, skipping what another node is just taking, then mark, then read the first jobs."""
        due = _DUE if not self.except_for else _DUE.where(lanes.c.destination.not_in(self.except_for))
        limit = self.limit if self.own is None or self.own >= self.limit else self._half(conn, due, self.own)
        found = conn.scalars(due.limit(limit).with_for_update(skip_locked=True), {"now": self.now}).all()
        picked = found if self.share is None else _shared_out(found, self.share, self.rooms)
        if not picked:
            return []
        until = self.now + self.lease_ms
        marked = conn.execute(_MARK, {"lanes": picked, "by": self.owner, "until": until})
        tokens = {row.name: row.token for row in marked}
        first = _first_of_each(conn, picked)
        return [LaneLease(LaneKey(name), self.owner, until, tokens[name], first.get(LaneKey(name))) for name in picked]

    def _half(self, conn: Connection, due: Select[Any], own: int) -> int:
        """Counted without locks: lanes that were locked and left would look taken to the node that is to have them."""
        found = conn.scalar(select(func.count()).select_from(due.limit(2 * self.limit).subquery()), {"now": self.now})
        return max(own, (found or 0) // 2)


@dataclass(frozen=True, slots=True)
class LaneJobs:
    """The first ``limit`` ready jobs of a lane in their order."""

    lane: LaneKey
    limit: int

    def run(self, conn: Connection) -> list[Job]:
        """Read by the lane's index."""
        return jobs_of(conn.execute(_FIRST, {"lane": self.lane, "at_most": self.limit}))


@dataclass(frozen=True, slots=True)
class ExtendLease:
    """Hold the lane until ``now + lease_ms``; raises ``LeaseLost``."""

    lease: LaneLease
    now: int
    lease_ms: int

    def lanes(self) -> tuple[LaneKey, ...]:
        """The leased lane."""
        return (self.lease.lane,)

    def apply(self, conn: Connection) -> LaneLease:
        """Move the end of the lease."""
        _fence(conn, self.lease, self.now)
        extended = replace(self.lease, lease_until=self.now + self.lease_ms)
        conn.execute(update(lanes).where(lanes.c.name == self.lease.lane).values(lease_until=extended.lease_until))
        return extended


@dataclass(frozen=True, slots=True)
class Finished:
    """What a lane has behind a job that is done: ``next``, or nothing, and then it was given back."""

    next: Job | None = field(repr=False)

    @property
    def released(self) -> bool:
        """The lane may be another's by now."""
        return self.next is None


@dataclass(frozen=True, slots=True)
class FinishJob:
    """The job is done: remove it, and bring the next one along, or give the lane back when there is none.

    Raises ``LeaseLost``. When the job was no longer there (an operator dropped it meanwhile), the lane goes on as if
    it had been, and the rest of the unit still counts. One transaction less than to remove the last job, to look for a
    next one, and to give the lane back.
    """

    locks_first: ClassVar = True
    lease: LaneLease
    job_id: int
    now: int

    def lanes(self) -> tuple[LaneKey, ...]:
        """The leased lane."""
        return (self.lease.lane,)

    def apply(self, conn: Connection) -> Finished:
        """Delete the job, then bring the lane up to date and see what is left."""
        result = self.apply_many(conn, [self])[0]
        if isinstance(result, LeaseLost):
            raise result
        return result

    @classmethod
    def apply_many(cls, conn: Connection, ops: Sequence[FinishJob]) -> list[Finished | LeaseLost]:
        """The same for many lanes, with as many statements as for one; LeaseLost in the place of a result."""
        held = _held(conn, [op.lease.lane for op in ops])
        results: list[Finished | LeaseLost] = [_lost(op.lease) for op in ops]
        waiting = [place for place, op in enumerate(ops) if _is_held(op.lease, op.now, held)]
        while waiting:
            # A lane comes once in each call: what is left of it then is what this one operation leaves.
            turn = {ops[place].lease.lane: place for place in reversed(waiting)}
            finished = cls._finish(conn, [ops[place] for place in turn.values()])
            for place, result in zip(turn.values(), finished, strict=True):
                results[place] = result
            held_on = {lane for lane, result in zip(turn, finished, strict=True) if not result.released}
            waiting = [each for each in waiting if each not in turn.values() and ops[each].lease.lane in held_on]
        return results

    @staticmethod
    def _finish(conn: Connection, ops: Sequence[FinishJob]) -> list[Finished]:
        names = [op.lease.lane for op in ops]
        conn.execute(_REMOVE, {"lanes": names, "jobs": [op.job_id for op in ops]})
        left = conn.execute(_FINISH, {"lanes": names, "at": max(op.now for op in ops)})
        going_on = [row.name for row in left if row.due is not None]
        first = _first_of_each(conn, going_on) if going_on else {}
        return [Finished(first.get(name)) for name in names]


@dataclass(frozen=True, slots=True)
class RetryJob:
    """The job failed for now: count the try, and let the whole lane wait ``delay_ms``; raises ``LeaseLost``.

    ``payload`` replaces the stored one when given, so that what was prepared for this try (a sealed envelope) is
    sent again byte for byte. With ``counts`` False nothing went wrong, and the number of tries stays.
    False when the job was no longer there.
    """

    lease: LaneLease
    job_id: int
    now: int
    delay_ms: int
    reason: str
    payload: bytes | None = field(default=None, repr=False)
    counts: bool = True

    def lanes(self) -> tuple[LaneKey, ...]:
        """The leased lane."""
        return (self.lease.lane,)

    def apply(self, conn: Connection) -> bool:
        """Update the job and the lane's due time."""
        _fence(conn, self.lease, self.now)
        kept = {} if self.payload is None else {"payload": self.payload}
        found = conn.execute(
            update(jobs)
            .where(jobs.c.id == self.job_id, jobs.c.lane == self.lease.lane)
            .values(attempts=jobs.c.attempts + int(self.counts), reason=self.reason, **kept)
        ).rowcount
        _set_due(conn, self.lease.lane, self.now + self.delay_ms)
        return found > 0


@dataclass(frozen=True, slots=True)
class HoldJob:
    """The job cannot succeed: set it aside for an operator and go on with the lane; raises ``LeaseLost``.

    False when the job was no longer there.
    """

    lease: LaneLease
    job_id: int
    now: int
    reason: str

    def lanes(self) -> tuple[LaneKey, ...]:
        """The leased lane."""
        return (self.lease.lane,)

    def apply(self, conn: Connection) -> bool:
        """Mark the job and bring the lane's due time up to date."""
        _fence(conn, self.lease, self.now)
        found = conn.execute(
            update(jobs)
            .where(jobs.c.id == self.job_id, jobs.c.lane == self.lease.lane)
            .values(state=JobState.HOLD.value, attempts=jobs.c.attempts + 1, reason=self.reason)
        ).rowcount
        _set_due(conn, self.lease.lane, self.now)
        return found > 0


@dataclass(frozen=True, slots=True)
class SaveJob:
    """Replace the payload of a job under way; raises ``LeaseLost`` when somebody else took the lane since.

    Fenced by the token alone: as long as nobody leased the lane after us, the write is safe even when time is up.
    """

    lease: LaneLease
    job_id: int
    payload: bytes = field(repr=False)

    def lanes(self) -> tuple[LaneKey, ...]:
        """The leased lane."""
        return (self.lease.lane,)

    def apply(self, conn: Connection) -> bool:
        """Update the job; False when it was no longer there."""
        _fence(conn, self.lease, None)
        return (
            conn.execute(
                update(jobs)
                .where(jobs.c.id == self.job_id, jobs.c.lane == self.lease.lane)
                .values(payload=self.payload)
            ).rowcount
            > 0
        )


@dataclass(frozen=True, slots=True)
class ReleaseLane:
    """Give the lane back; True when it still has ready jobs that are due at ``now``. Raises ``LeaseLost``."""

    lease: LaneLease
    now: int

    def lanes(self) -> tuple[LaneKey, ...]:
        """The leased lane."""
        return (self.lease.lane,)

    def wakes(self, result: bool) -> bool:
        """Jobs that came after the worker's last look must not wait for the next poll."""
        return result

    def apply(self, conn: Connection) -> bool:
        """Clear owner and lease."""
        _fence(conn, self.lease, self.now)
        due = conn.execute(
            update(lanes)
            .where(lanes.c.name == self.lease.lane)
            .values(owner=None, lease_until=0)
            .returning(lanes.c.due)
        ).scalar_one()
        return due is not None and due <= self.now


def _shared_out(names: Sequence[LaneKey], share: int, rooms: Mapping[str, int]) -> list[LaneKey]:
    """The lanes for which there is room at their destinations."""
    left, kept = dict(rooms), []
    for name in names:
        destination = destination_of(name)
        room = left.get(destination, share)
        if room > 0:
            kept.append(name)
        left[destination] = room - 1
    return kept


def _first_of_each(conn: Connection, names: Sequence[str]) -> dict[LaneKey, Job]:
    """The first ready job of each lane that has one."""
    return {job.lane: job for job in jobs_of(conn.execute(_FIRST_OF_EACH, {"lanes": names}))}


def _held(conn: Connection, names: Sequence[LaneKey]) -> dict[str, tuple[str | None, int, int]]:
    """Owner, token and end of the lease (ms) of lanes, whose rows are locked with it."""
    rows = conn.execute(_LEASES, {"lanes": sorted(set(names))})
    return {row.name: (row.owner, row.token, row.lease_until) for row in rows}


def _is_held(lease: LaneLease, now: int, held: Mapping[str, tuple[str | None, int, int]]) -> bool:
    owner, token, until = held.get(lease.lane, (None, 0, 0))
    return (owner, token) == (lease.owner, lease.token) and until > now


def _lost(lease: LaneLease) -> LeaseLost:
    return LeaseLost(f"lane {lease.lane!r} is no longer held by {lease.owner!r}")


def _fence(conn: Connection, lease: LaneLease, now: int | None) -> None:
    """Lock the lane's row, or raise ``LeaseLost`` when the lease is no longer ours (or, given ``now``, is over)."""
    held = {"lane": lease.lane, "by": lease.owner, "number": lease.token, "now": -1 if now is None else now}
    if conn.execute(_HELD, held).first() is None:
        raise _lost(lease)


def _set_due(conn: Connection, lane: LaneKey, due: int) -> None:
    """Set the due time of a locked lane, or none when no job of it is ready."""
    conn.execute(_SET_DUE, {"lane": lane, "at": due})


# Made once: SQLAlchemy takes longer to build these than SQLite to run them.
_READY: Final = exists().where(jobs.c.lane == bindparam("lane"), jobs.c.state == JobState.READY.value)
_NEXT_DUE: Final = case((_READY, bindparam("at", type_=Millis)), else_=null())
_AMONG: Final = among(lanes.c.name, "lanes")
_OTHERS: Final = jobs.alias()
_FIRST_READY: Final = (
    select(_OTHERS.c.id)
    .where(_OTHERS.c.lane == lanes.c.name, _OTHERS.c.state == JobState.READY.value)
    .order_by(_OTHERS.c.id)
    .limit(1)
    .scalar_subquery()
)
"""Of a lane. With a limit PostgreSQL looks into the lane; an EXISTS would have it read what is ready in all of them."""
_STILL_READY: Final = _FIRST_READY.is_not(None)
_DUE: Final = (
    select(lanes.c.name)
    .where(lanes.c.due <= bindparam("now"), lanes.c.lease_until <= bindparam("now"))
    .order_by(lanes.c.due)
)
_MARK: Final = (
    update(lanes)
    .where(_AMONG)
    .values(owner=bindparam("by"), lease_until=bindparam("until"), token=lanes.c.token + 1)
    .returning(lanes.c.name, lanes.c.token)
)
_LEASES: Final = (
    select(lanes.c.name, lanes.c.owner, lanes.c.token, lanes.c.lease_until)
    .where(_AMONG)
    .order_by(lanes.c.name)
    .with_for_update()
)
_HELD: Final = (
    select(lanes.c.name)
    .where(
        lanes.c.name == bindparam("lane"),
        lanes.c.owner == bindparam("by"),
        lanes.c.token == bindparam("number"),
        lanes.c.lease_until > bindparam("now"),
    )
    .with_for_update()
)
_FIRST: Final = (
    select(jobs)
    .where(jobs.c.lane == bindparam("lane"), jobs.c.state == JobState.READY.value)
    .order_by(jobs.c.id)
    .limit(bindparam("at_most", type_=Integer))
)
_FIRST_OF_EACH: Final = select(jobs).where(jobs.c.id.in_(select(_FIRST_READY).where(_AMONG)))
_SET_DUE: Final = update(lanes).where(lanes.c.name == bindparam("lane")).values(due=_NEXT_DUE)
_REMOVE: Final = delete(jobs).where(among(jobs.c.id, "jobs"), among(jobs.c.lane, "lanes"))
_FINISH: Final = (
    update(lanes)
    .where(_AMONG)
    .values(
        due=case((_STILL_READY, bindparam("at", type_=Millis)), else_=null()),
        owner=case((_STILL_READY, lanes.c.owner), else_=null()),
        lease_until=case((_STILL_READY, lanes.c.lease_until), else_=0),
    )
    .returning(lanes.c.name, lanes.c.due)
)
