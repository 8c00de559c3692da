"""What waits of a bridged person and for one, and lanes that are to be looked at before their time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from gateway.ids import EnsName, EnvelopeId, EthAddress, LaneKey
from gateway.store.jobs import Job, JobState, jobs_of
from gateway.store.schema import envelopes, jobs, lanes

AT_ONCE = 200
"""Lanes of one UPDATE: well under SQLite's limit of bound values."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that wait to leave, since when (ms) the oldest does, and why a try of it failed."""

    messages: int
    oldest_at: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class BacklogOf:
    """What waits to leave in the lanes of the person with the sub-name ``person``."""

    person: EnsName

    def run(self, conn: Connection) -> Backlog:
        """Read by the index of persons, then by the lanes' jobs."""
        waiting = (lanes.c.person == self.person, jobs.c.state == JobState.READY)
        number, oldest_at = conn.execute(
            select(func.count(), func.min(jobs.c.created_at)).join_from(lanes, jobs).where(*waiting)
        ).one()
        tried = select(jobs.c.reason).join_from(lanes, jobs).where(*waiting, jobs.c.attempts > 0)
        return Backlog(number, oldest_at, conn.scalar(tried.order_by(jobs.c.id).limit(1)) or "")


@dataclass(frozen=True, slots=True)
class WaitingOf:
    """Jobs in the lanes of the person with the sub-name ``person`` behind the one numbered ``after``, oldest first.

    At most ``limit``; each may have megabytes.
    """

    person: EnsName
    limit: int
    after: int = 0

    def run(self, conn: Connection) -> list[Job]:
        """Read by the index of persons."""
        theirs = select(lanes.c.name).where(lanes.c.person == self.person)
        waiting = select(jobs).where(jobs.c.lane.in_(theirs), jobs.c.id > self.after)
        return jobs_of(conn.execute(waiting.order_by(jobs.c.id).limit(self.limit)))


@dataclass(frozen=True, slots=True)
class LanesOf:
    """Lanes in which messages of the person with the sub-name ``person`` wait for a time after ``now``."""

    person: EnsName
    now: int
    limit: int

    def run(self, conn: Connection) -> list[LaneKey]:
        """Read by the index of persons."""
        waiting = select(lanes.c.name).where(lanes.c.person == self.person, lanes.c.due > self.now)
        return [LaneKey(name) for name in conn.scalars(waiting.limit(self.limit))]


@dataclass(frozen=True, slots=True)
class WaitingFrom:
    """A sender whose mail waits, how much, and since when (ms) the oldest does."""

    sender: EnsName
    messages: int
    since: int


@dataclass(frozen=True, slots=True)
class SendersTo:
    """Senders of what waits for the owner of an address, who wrote first first; at most ``limit``."""

    recipient: EthAddress
    limit: int

    def run(self, conn: Connection) -> list[WaitingFrom]:
        """Group the mailbox by sender."""
        since = func.min(envelopes.c.received_at).label("since")
        rows = conn.execute(
            select(envelopes.c.sender, func.count().label("messages"), since)
            .where(envelopes.c.recipient == self.recipient)
            .group_by(envelopes.c.sender)
            .order_by(func.min(envelopes.c.seq))
            .limit(self.limit)
        )
        return [WaitingFrom(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class WaitingEnvelope:
    """An envelope that waits, and whose quota it is charged to: the verified sender's address, or ``UNVERIFIED``."""

    envelope: EnvelopeId
    holder: str


@dataclass(frozen=True, slots=True)
class NewestWaiting:
    """The envelope of ``sender`` that came last of those that wait for the owner of an address, or None."""

    recipient: EthAddress
    sender: EnsName

    def run(self, conn: Connection) -> WaitingEnvelope | None:
        """Read the mailbox backwards."""
        row = conn.execute(
            select(envelopes.c.id, envelopes.c.holder)
            .where(envelopes.c.recipient == self.recipient, envelopes.c.sender == self.sender)
            .order_by(envelopes.c.seq.desc())
            .limit(1)
        ).first()
        return None if row is None else WaitingEnvelope(EnvelopeId(row.id), row.holder)


@dataclass(frozen=True, slots=True)
class WakeLanes:
    """Make lanes due at ``now`` that wait for a later time; how many there were.

    The order of their jobs stays. An idle lane stays idle, and one that somebody works on is not broken off.
    """

    names: tuple[LaneKey, ...]
    now: int

    def lanes(self) -> tuple[LaneKey, ...]:
        """All of them."""
        return self.names

    def wakes(self, result: int) -> bool:
        """A lane that is due is work."""
        return result > 0

    def apply(self, conn: Connection) -> int:
        """Update by the key."""
        names = sorted(self.names)
        return sum(
            conn.execute(
                update(lanes)
                .where(lanes.c.name.in_(names[start : start + AT_ONCE]), lanes.c.due > self.now)
                .values(due=self.now)
            ).rowcount
            for start in range(0, len(names), AT_ONCE)
        )
