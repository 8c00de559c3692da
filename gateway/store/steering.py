"""What an operator does to single jobs: set one aside, let it go again, give it up.

Each of these refuses by an error, so that the entry of the audit log that is committed with it is written only when it
was done. A job that is being tried this moment is left alone: its worker would write over what is done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, case, delete, exists, func, null, select, update

from gateway.errors import InvalidInput, JobUnderWay, NotFound
from gateway.ids import EnvelopeId, LaneKey
from gateway.store.jobs import JobState, destination_of, lane_key
from gateway.store.mailbox import DropEnvelope
from gateway.store.queue import ReviveJob
from gateway.store.schema import jobs, lanes
from gateway.store.upsert import insert

SET_ASIDE: Final = "held by the operator"
"""Begins the reason of a job that an operator set aside: nobody was told that it failed, for it has not."""
GIVEN_UP: Final = "Whoever runs the gateway took it out of the queue."
"""What the sender of a message reads that an operator gave up, behind the words for all that was not delivered."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """Put a ready job on hold; its lane goes on without it. Raises NotFound, InvalidInput, JobUnderWay."""

    job_id: int
    now: int

    def wakes(self, _result: None) -> bool:
        """What waited behind it may be due now."""
        return True

    def apply(self, conn: Connection) -> None:
        """Lock the lane, mark the job, bring the lane's due time up to date."""
        job = _locked(conn, self.job_id, self.now)
        if job.state == JobState.HOLD:
            raise InvalidInput(f"job {self.job_id} is on hold already")
        reason = f"{SET_ASIDE}: {job.reason}" if job.reason else SET_ASIDE
        conn.execute(update(jobs).where(jobs.c.id == self.job_id).values(state=JobState.HOLD.value, reason=reason))
        _go_on(conn, job, self.now)


@dataclass(frozen=True, slots=True)
class LetGo:
    """Try a job again, at once and as if for the first time, whether it is on hold or waits. Raises NotFound."""

    job_id: int

    def wakes(self, _result: None) -> bool:
        """It is work."""
        return True

    def apply(self, conn: Connection) -> None:
        """As `ReviveJob`."""
        if not ReviveJob(self.job_id).apply(conn):
            raise NotFound(f"there is no job {self.job_id}")


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End a job that is not done; True when its sender is going to be told. Raises NotFound, JobUnderWay.

    With ``tell`` the worker ends it as it ends whatever is not delivered in time, in a lane of its own, because nothing
    before it in its lane is worth waiting for. A job that the worker set aside is only removed: its sender was told
    then. ``envelope`` is the job's, and goes with it.
    """

    job_id: int
    now: int
    tell: bool
    envelope: EnvelopeId | None = None

    def mailboxes(self) -> tuple[EnvelopeId, ...]:
        """The one that the envelope is in."""
        return () if self.envelope is None else (self.envelope,)

    def wakes(self, result: bool) -> bool:
        """Telling is work."""
        return result

    def apply(self, conn: Connection) -> bool:
        """Lock the lane; move the job, or delete it and its envelope; bring the lane's due time up to date."""
        job = _locked(conn, self.job_id, self.now)
        if self.tell and not (job.state == JobState.HOLD and not job.reason.startswith(SET_ASIDE)):
            _end(conn, job, self.now)
            return True
        conn.execute(delete(jobs).where(jobs.c.id == self.job_id))
        if self.envelope is not None:
            DropEnvelope(self.envelope).apply(conn)
        _go_on(conn, job, self.now)
        return False


@dataclass(frozen=True, slots=True)
class EndSetAside:
    """Let at most ``limit`` jobs go that an operator set aside and whose time is over at ``now``; returns how many.

    The worker finds their time over and tells their senders, as it does with all others.
    """

    now: int
    limit: int

    def wakes(self, result: int) -> bool:
        """Telling is work."""
        return result > 0

    def apply(self, conn: Connection) -> int:
        """Read by the index of states."""
        over = (
            select(jobs.c.id)
            .where(jobs.c.state == JobState.HOLD, jobs.c.expires_at <= self.now, jobs.c.reason.startswith(SET_ASIDE))
            .order_by(jobs.c.expires_at)
            .limit(self.limit)
        )
        numbers = list(conn.scalars(over))
        for number in numbers:
            ReviveJob(number).apply(conn)
        return len(numbers)


def _locked(conn: Connection, job_id: int, now: int) -> Any:
    """The job's row and its lane's, which is locked before the job is looked at."""
    lane = conn.scalar(select(jobs.c.lane).where(jobs.c.id == job_id))
    if lane is not None:
        conn.execute(select(lanes.c.name).where(lanes.c.name == lane).with_for_update())
    job = conn.execute(
        select(
            *(jobs.c.id, jobs.c.lane, jobs.c.state, jobs.c.attempts, jobs.c.reason),
            *(lanes.c.person, lanes.c.lease_until),
        )
        .join_from(jobs, lanes)
        .where(jobs.c.id == job_id, jobs.c.lane == lane)
    ).first()
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    if job.lease_until > now and job_id == _first_ready(conn, job.lane):
        raise JobUnderWay(f"job {job_id} is being tried this moment")
    return job


def _first_ready(conn: Connection, lane: LaneKey) -> int | None:
    first: int | None = conn.scalar(
        select(func.min(jobs.c.id)).where(jobs.c.lane == lane, jobs.c.state == JobState.READY.value)
    )
    return first


def _end(conn: Connection, job: Any, now: int) -> None:
    """Move a job into a lane of its own, due at once, with its time over."""
    own = lane_key(destination_of(job.lane), f"given-up-{job.id}")
    made = insert(conn, lanes).values(
        name=own, destination=destination_of(job.lane), due=0, token=0, lease_until=0, person=job.person
    )
    conn.execute(made.on_conflict_do_update(index_elements=[lanes.c.name], set_={"due": 0}))
    conn.execute(
        update(jobs)
        .where(jobs.c.id == job.id)
        .values(lane=own, state=JobState.READY.value, expires_at=now, reason=GIVEN_UP)
    )
    _go_on(conn, job, now)


def _go_on(conn: Connection, job: Any, now: int) -> None:
    """The due time of a lane that a job was taken from: at once when the others waited for its tries only."""
    ready = exists().where(jobs.c.lane == job.lane, jobs.c.state == JobState.READY.value)
    was_tried = job.state == JobState.READY and job.attempts > 0
    due = now if was_tried else lanes.c.due
    conn.execute(update(lanes).where(lanes.c.name == job.lane).values(due=case((ready, due), else_=null())))
