"""Messages that could not be delivered, kept for some days so that their writer can ask for another try."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, delete, func, select

from gateway.ids import EnsName, LaneKey, NativeId, Network
from gateway.store.jobs import NewJob, insert_jobs
from gateway.store.schema import failed_messages


@dataclass(frozen=True, slots=True)
class Failure:
    """A message of the person with the sub-name ``sender`` that did not reach ``recipient``, since when (ms) and why.

    ``id`` rises with each failure; 0 until it is stored.
    """

    network: Network
    sender: EnsName
    recipient: EnsName
    native_id: NativeId
    reason: str
    at: int
    id: int = 0


@dataclass(frozen=True, slots=True)
class KeepFailed:
    """Keep a message with the payload by which it can be sent again; a repeat of the same one replaces it."""

    failure: Failure
    payload: bytes = field(repr=False)

    def apply(self, conn: Connection) -> None:
        """A message that failed once more goes to the end, as its new failure is the youngest."""
        failure = self.failure
        conn.execute(
            delete(failed_messages).where(
                *_of(failure.network, failure.sender, failure.recipient),
                failed_messages.c.native_id == failure.native_id,
            )
        )
        conn.execute(
            failed_messages.insert().values(
                network=failure.network,
                sender=failure.sender,
                recipient=failure.recipient,
                native_id=failure.native_id,
                payload=self.payload,
                reason=failure.reason,
                at=failure.at,
            )
        )


@dataclass(frozen=True, slots=True)
class FailuresOf:
    """What failed of one person, the youngest first, at most ``limit``; to one recipient only when it is given."""

    network: Network
    sender: EnsName
    limit: int
    recipient: EnsName | None = None

    def run(self, conn: Connection) -> list[Failure]:
        """Without payloads."""
        columns = [failed_messages.c[name] for name in Failure.__slots__]
        rows = conn.execute(
            select(*columns)
            .where(*_of(self.network, self.sender, self.recipient))
            .order_by(failed_messages.c.at.desc(), failed_messages.c.id.desc())
            .limit(self.limit)
        )
        return [Failure(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message that can be sent again; ``id`` orders the messages of a conversation as they were written."""

    id: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LastFailure:
    """Number of the youngest failure of one person, 0 when there is none."""

    network: Network
    sender: EnsName

    def run(self, conn: Connection) -> int:
        """Read by the index of senders."""
        last = select(func.max(failed_messages.c.id)).where(*_of(self.network, self.sender, None))
        return conn.scalar(last) or 0


@dataclass(frozen=True, slots=True)
class KeptMessages:
    """Messages of one person with numbers above ``after`` up to ``upto``, in their order, at most ``limit``."""

    network: Network
    sender: EnsName
    recipient: EnsName | None
    after: int
    upto: int
    limit: int

    def run(self, conn: Connection) -> list[KeptMessage]:
        """Read by the index of senders."""
        rows = conn.execute(
            select(failed_messages.c.id, failed_messages.c.payload)
            .where(
                *_of(self.network, self.sender, self.recipient),
                failed_messages.c.id > self.after,
                failed_messages.c.id <= self.upto,
            )
            .order_by(failed_messages.c.id)
            .limit(self.limit)
        )
        return [KeptMessage(row.id, row.payload) for row in rows]


@dataclass(frozen=True, slots=True)
class RetryFailed:
    """Put kept messages, named by number, back into the queue as these jobs, behind what is there; how many went.

    A message whose row is gone, because somebody else asked for the same, is left out.
    """

    jobs: tuple[tuple[int, NewJob], ...]

    def lanes(self) -> tuple[LaneKey, ...]:
        """Lanes of the jobs."""
        return tuple({job.lane for _, job in self.jobs})

    def wakes(self, result: int) -> bool:
        """A job is work."""
        return result > 0

    def apply(self, conn: Connection) -> int:
        """Delete the rows; what was there becomes jobs in the given order."""
        gone = delete(failed_messages).where(failed_messages.c.id.in_([number for number, _ in self.jobs]))
        there = set(conn.scalars(gone.returning(failed_messages.c.id)))
        new = [job for number, job in self.jobs if number in there]
        if new:
            insert_jobs(conn, new)
        return len(new)


@dataclass(frozen=True, slots=True)
class ForgetFailures:
    """Remove at most ``limit`` messages that failed before ``before`` (ms); returns how many."""

    before: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        old = (
            select(failed_messages.c.id)
            .where(failed_messages.c.at < self.before)
            .order_by(failed_messages.c.at)
            .limit(self.limit)
        )
        return conn.execute(delete(failed_messages).where(failed_messages.c.id.in_(old))).rowcount


def _of(network: Network, sender: EnsName, recipient: EnsName | None) -> list[ColumnElement[bool]]:
    wanted = [failed_messages.c.network == network, failed_messages.c.sender == sender]
    if recipient is not None:
        wanted.append(failed_messages.c.recipient == recipient)
    return wanted
