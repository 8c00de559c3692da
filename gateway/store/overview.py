"""What an operator sees of the queue: lanes, jobs and failures, without the payloads in which people's words are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from gateway.ids import EnsName, EnvelopeId, LaneKey
from gateway.store.audit import LoggedEntry, logged
from gateway.store.failed import Failure
from gateway.store.jobs import JobState
from gateway.store.schema import audit, envelopes, failed_messages, jobs, lanes


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which jobs are meant; what is None does not matter."""

    destination: str | None = None
    """Adapter or relay: the first part of the lane's name."""
    state: JobState | None = None
    before: int | None = None
    """Made before this time (ms)."""
    lane: LaneKey | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        """For a statement about jobs joined with their lanes."""
        given: list[tuple[ColumnElement[Any], Any]] = [
            (lanes.c.destination, self.destination),
            (jobs.c.state, self.state),
            (jobs.c.lane, self.lane),
        ]
        clauses = [column == value for column, value in given if value is not None]
        return clauses if self.before is None else [*clauses, jobs.c.created_at < self.before]


@dataclass(frozen=True, slots=True)
class LaneSeen:
    """A lane with what waits in it, and how the tries of its first job went."""

    lane: LaneKey
    destination: str
    person: EnsName | None
    """Sub-name of the bridged person whose messages leave here, where the lane knows."""
    due: int | None
    """Next try (ms); None when nothing is ready."""
    lease_until: int
    waiting: int
    held: int
    oldest_at: int
    first: int
    """Number of the job that is next, or of the youngest on hold when nothing is ready."""
    attempts: int
    reason: str
    """Why the last try of the first job failed; empty when none did."""


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job without its payload; ``size`` is that one's bytes."""

    id: int
    lane: LaneKey
    destination: str
    person: EnsName | None
    kind: str
    envelope: EnvelopeId | None
    state: JobState
    attempts: int
    reason: str
    created_at: int
    expires_at: int
    size: int
    due: int | None
    lease_until: int


@dataclass(frozen=True, slots=True)
class EnvelopeSeen:
    """An envelope that waits: whom it is from and for, without what is in it."""

    id: EnvelopeId
    sender: EnsName
    recipient_name: EnsName
    verified: bool
    message_hash: str
    size: int
    received_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class LanesSeen:
    """Lanes that hold jobs, failing ones first, then by their oldest job; at most ``limit``."""

    wanted: QueueFilter
    limit: int

    def run(self, conn: Connection) -> list[LaneSeen]:
        """Group the jobs by lane; then the first job of each says how its tries went."""
        ready = jobs.c.state == JobState.READY.value
        some = (
            select(
                jobs.c.lane,
                func.sum(case((ready, 1), else_=0)).label("waiting"),
                func.sum(case((ready, 0), else_=1)).label("held"),
                func.min(jobs.c.created_at).label("oldest_at"),
                func.coalesce(func.min(case((ready, jobs.c.id))), func.max(jobs.c.id)).label("first"),
            )
            .join_from(jobs, lanes)
            .where(*self.wanted.clauses())
            .group_by(jobs.c.lane)
            .subquery()
        )
        first = jobs.alias("first_job")
        found = (
            select(
                *(lanes.c.name.label("lane"), lanes.c.destination, lanes.c.person, lanes.c.due, lanes.c.lease_until),
                *(some.c.waiting, some.c.held, some.c.oldest_at, some.c.first, first.c.attempts, first.c.reason),
            )
            .join_from(some, lanes, lanes.c.name == some.c.lane)
            .join(first, first.c.id == some.c.first)
            .order_by(case((first.c.attempts > 0, 0), else_=1), some.c.oldest_at, lanes.c.name)
            .limit(self.limit)
        )
        return [LaneSeen(**row._mapping) for row in conn.execute(found)]


@dataclass(frozen=True, slots=True)
class JobsSeen:
    """Jobs of ids after ``after``, in the order of ids; at most ``limit``."""

    wanted: QueueFilter
    limit: int
    after: int = 0

    def run(self, conn: Connection) -> list[JobSeen]:
        """Read one page."""
        page = _jobs().where(jobs.c.id > self.after, *self.wanted.clauses()).order_by(jobs.c.id).limit(self.limit)
        return [_job(row) for row in conn.execute(page)]


@dataclass(frozen=True, slots=True)
class NewestJob:
    """Number of the youngest job, 0 when there is none."""

    def run(self, conn: Connection) -> int:
        """Read the end of the key."""
        return conn.scalar(select(func.max(jobs.c.id))) or 0


@dataclass(frozen=True, slots=True)
class FailingJobs:
    """Ready jobs whose tries fail, the one with the most tries first; at most ``limit``."""

    limit: int

    def run(self, conn: Connection) -> list[JobSeen]:
        """Read what is ready."""
        failing = _jobs().where(jobs.c.state == JobState.READY.value, jobs.c.attempts > 0)
        page = failing.order_by(jobs.c.attempts.desc(), jobs.c.id).limit(self.limit)
        return [_job(row) for row in conn.execute(page)]


@dataclass(frozen=True, slots=True)
class JobNumbered:
    """One job, or None."""

    id: int

    def run(self, conn: Connection) -> JobSeen | None:
        """Look up by the key."""
        row = conn.execute(_jobs().where(jobs.c.id == self.id)).first()
        return None if row is None else _job(row)


@dataclass(frozen=True, slots=True)
class PayloadOf:
    """The payload of a job, or None when it is longer than ``most`` bytes: whom it is for stands nowhere else."""

    id: int
    most: int

    def run(self, conn: Connection) -> bytes | None:
        """Look up by the key."""
        wanted = select(jobs.c.payload).where(jobs.c.id == self.id, func.length(jobs.c.payload) <= self.most)
        return conn.scalar(wanted)


@dataclass(frozen=True, slots=True)
class EnvelopeNumbered:
    """Whom an envelope is from and for, or None when it is gone."""

    id: EnvelopeId

    def run(self, conn: Connection) -> EnvelopeSeen | None:
        """Look up by the unique index."""
        columns = [envelopes.c[name] for name in EnvelopeSeen.__slots__]
        row = conn.execute(select(*columns).where(envelopes.c.id == self.id)).first()
        return None if row is None else EnvelopeSeen(**row._mapping)


@dataclass(frozen=True, slots=True)
class NewestFailures:
    """Messages that could not be delivered and are kept, the youngest first; at most ``limit``."""

    limit: int

    def run(self, conn: Connection) -> list[Failure]:
        """Read the index of ages backwards, without payloads."""
        columns = [failed_messages.c[name] for name in Failure.__slots__]
        page = select(*columns).order_by(failed_messages.c.at.desc(), failed_messages.c.id.desc()).limit(self.limit)
        return [Failure(**row._mapping) for row in conn.execute(page)]


@dataclass(frozen=True, slots=True)
class FailureNumbered:
    """One of them, or None."""

    id: int

    def run(self, conn: Connection) -> Failure | None:
        """Look up by the key."""
        columns = [failed_messages.c[name] for name in Failure.__slots__]
        row = conn.execute(select(*columns).where(failed_messages.c.id == self.id)).first()
        return None if row is None else Failure(**row._mapping)


@dataclass(frozen=True, slots=True)
class NewestEntries:
    """Entries of the audit log, newest first, of numbers below ``before`` when given; at most ``limit``."""

    limit: int
    before: int | None = None

    def run(self, conn: Connection) -> list[LoggedEntry]:
        """Read the key backwards."""
        page = select(audit).order_by(audit.c.seq.desc()).limit(self.limit)
        if self.before is not None:
            page = page.where(audit.c.seq < self.before)
        return [logged(row) for row in conn.execute(page)]


def _jobs() -> Select[Any]:
    return select(
        *(jobs.c.id, jobs.c.lane, lanes.c.destination, lanes.c.person, jobs.c.kind, jobs.c.envelope, jobs.c.state),
        *(jobs.c.attempts, jobs.c.reason, jobs.c.created_at, jobs.c.expires_at),
        *(func.length(jobs.c.payload).label("size"), lanes.c.due, lanes.c.lease_until),
    ).join_from(jobs, lanes)


def _job(row: Any) -> JobSeen:
    return JobSeen(**{**row._mapping, "state": JobState(row.state)})
