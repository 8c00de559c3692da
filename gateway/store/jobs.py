"""Jobs of the queue: their values, and how they enter a lane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Insert

from gateway.ids import EnsName, EnvelopeId, LaneKey
from gateway.store.schema import jobs, lanes
from gateway.store.statement import Statement
from gateway.store.upsert import insert_for


class JobState(StrEnum):
    """Where a job stands."""

    READY = "ready"
    """Waits for its turn in the lane."""
    HOLD = "hold"
    """Set aside because it cannot succeed; an operator looks at it. The lane goes on without it."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be: what to do (``kind``, ``payload``), in which lane, and until when (ms) it makes sense.

    ``due_at`` (ms) is when it may be done at the earliest, ``created_at`` unless given. It is the lane that waits, not
    the job: a later time counts only for the job that enters an idle lane which nobody holds, and whatever follows in
    that lane waits behind it, as order demands. A job that is to wait on its own needs a lane of its own.
    """

    lane: LaneKey
    kind: str
    payload: bytes = field(repr=False)
    created_at: int
    expires_at: int
    envelope: EnvelopeId | None = None
    due_at: int | None = None
    person: EnsName | None = None
    """Sub-name of the bridged person whose lane it is, written down with a new lane."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored; ``attempts`` counts tries that failed, ``reason`` is why the last one did."""

    id: int
    lane: LaneKey
    kind: str
    payload: bytes = field(repr=False)
    envelope: EnvelopeId | None
    state: JobState
    attempts: int
    reason: str
    created_at: int
    expires_at: int


def lane_key(destination: str, conversation: str) -> LaneKey:
    """Name of the lane of one conversation at one destination; ``destination`` holds no colon."""
    return LaneKey(f"{destination}:{conversation}")


def destination_of(lane: LaneKey) -> str:
    """The part of a lane's name before its first colon: what queue figures are grouped by."""
    return lane.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Append a job to its lane and return the job's id.

    A lane that was idle becomes due at the job's time; a lane that is due, in back-off or waiting stays as it is.
    """

    locks_first: ClassVar = True
    job: NewJob

    def lanes(self) -> tuple[LaneKey, ...]:
        """The job's lane."""
        return (self.job.lane,)

    def wakes(self, result: int) -> bool:
        """A new job is always work."""
        return True

    def apply(self, conn: Connection) -> int:
        """Insert the job."""
        return self.apply_many(conn, [self])[0]

    @staticmethod
    def apply_many(conn: Connection, ops: Sequence[Enqueue]) -> list[int]:
        """Insert all jobs with two statements; ids rise in the order of ``ops``."""
        new = [op.job for op in ops]
        _wake(conn, new)
        return [row[0] for row in _APPEND_NUMBERED.run(conn, [_columns(job) for job in new])]


def insert_jobs(conn: Connection, new: Sequence[NewJob]) -> None:
    """Wake the lanes of ``new`` and append the jobs in their order; whoever needs their ids takes ``Enqueue``."""
    _wake(conn, new)
    _APPEND.run(conn, [_columns(job) for job in new])


def insert_held(conn: Connection, job: NewJob, reason: str) -> None:
    """Insert a job on hold into a lane that exists; the lane's due time is about ready jobs only."""
    _APPEND.run(conn, [{**_columns(job), "state": JobState.HOLD.value, "attempts": 1, "reason": reason}])


def _waking(dialect: str) -> Insert:
    wake = insert_for(dialect, lanes)
    # A lane that is due is not written anew; its row is locked all the same.
    return wake.on_conflict_do_update(
        index_elements=[lanes.c.name], set_={"due": wake.excluded.due}, where=lanes.c.due.is_(None)
    )


_WAKE: Final = Statement(("name", "destination", "due", "token", "lease_until", "person"), _waking)
_COLUMNS: Final = ("lane", "kind", "payload", "envelope", "state", "attempts", "reason", "created_at", "expires_at")
_APPEND: Final = Statement(_COLUMNS, lambda _dialect: jobs.insert())
_APPEND_NUMBERED: Final = Statement(
    _COLUMNS, lambda _dialect: jobs.insert().returning(jobs.c.id, sort_by_parameter_order=True)
)


def _wake(conn: Connection, new: Sequence[NewJob]) -> None:
    """Make the lanes that are not there, and those due that are idle.

    The lane rows are written, and so locked, before the jobs: whoever completes a job of the same lane meanwhile
    waits and then sees these jobs. The other order strands jobs in a lane that nobody finds due.
    """
    first: dict[LaneKey, NewJob] = {}
    for job in new:
        # The first job of a lane says when: one behind it that could be done earlier must not overtake it.
        first.setdefault(job.lane, job)
    _WAKE.run(
        conn,
        [
            {
                "name": lane,
                "destination": destination_of(lane),
                "due": job.created_at if job.due_at is None else job.due_at,
                "token": 0,
                "lease_until": 0,
                "person": job.person,
            }
            for lane, job in sorted(first.items(), key=lambda item: item[0])
        ],
    )


def job_of(row: Any) -> Job:
    """A ``Job`` from a row of the jobs table."""
    id_, lane, kind, payload, envelope, state, attempts, reason, created_at, expires_at = row
    return Job(id_, lane, kind, payload, envelope, JobState(state), attempts, reason, created_at, expires_at)


def jobs_of(rows: Iterable[Any]) -> list[Job]:
    """``Job`` values from rows of the jobs table."""
    return [job_of(row) for row in rows]


def _columns(job: NewJob) -> dict[str, Any]:
    return {
        "lane": job.lane,
        "kind": job.kind,
        "payload": job.payload,
        "envelope": job.envelope,
        "state": JobState.READY.value,
        "attempts": 0,
        "reason": "",
        "created_at": job.created_at,
        "expires_at": job.expires_at,
    }
