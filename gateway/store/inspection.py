"""What can be wrong inside a database, as its operator has it verified: each query finds faults and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, and_, exists, func, select

from gateway.store.schema import envelopes, identities, jobs, lanes, mailbox_usage, metadata
from gateway.store.usage import WHOLE


@dataclass(frozen=True, slots=True)
class CountRows:
    """Rows of each table."""

    def run(self, conn: Connection) -> Mapping[str, int]:
        """Count them all."""
        return {
            name: conn.scalar(select(func.count()).select_from(table)) or 0 for name, table in metadata.tables.items()
        }


@dataclass(frozen=True, slots=True)
class StructureFaults:
    """What SQLite finds wrong with its own file, at most some twenty lines; PostgreSQL has programs of its own."""

    def run(self, conn: Connection) -> list[str]:
        """Read every page."""
        if conn.dialect.name != "sqlite":
            return []
        found = [str(row[0]) for row in conn.exec_driver_sql("PRAGMA integrity_check(20)")]
        broken = [f"{row[0]} row {row[1]} points nowhere" for row in conn.exec_driver_sql("PRAGMA foreign_key_check")]
        return [line for line in found if line != "ok"] + broken[:20]


@dataclass(frozen=True, slots=True)
class Orphans:
    """Rows that belong to something which is not there, by what they are; ``now`` in ms."""

    now: int

    def run(self, conn: Connection) -> Mapping[str, int]:
        """Count them; none has a way to arise, because what belongs together is committed together."""
        no_lane = select(func.count()).where(~exists().where(lanes.c.name == jobs.c.lane)).select_from(jobs)
        asleep = select(func.count(lanes.c.name.distinct())).where(
            lanes.c.due.is_(None), exists().where(jobs.c.lane == lanes.c.name, jobs.c.state == "ready")
        )
        undelivered = (
            select(func.count())
            .select_from(envelopes)
            .where(
                envelopes.c.expires_at > self.now,
                exists().where(and_(identities.c.address == envelopes.c.recipient)),
                ~exists().where(jobs.c.envelope == envelopes.c.id),
            )
        )
        return {
            "jobs without a lane": conn.scalar(no_lane) or 0,
            "lanes that nobody will find due": conn.scalar(asleep) or 0,
            "envelopes for bridged people without a job": conn.scalar(undelivered) or 0,
        }


@dataclass(frozen=True, slots=True)
class MiscountedMailboxes:
    """How many mailboxes have another count of messages or bytes than envelopes."""

    def run(self, conn: Connection) -> int:
        """Count anew, and compare."""
        counted = {
            row.recipient: (row.messages, int(row.size))
            for row in conn.execute(
                select(
                    envelopes.c.recipient, func.count().label("messages"), func.sum(envelopes.c.size).label("size")
                ).group_by(envelopes.c.recipient)
            )
        }
        noted = {
            row.recipient: (row.messages, row.bytes)
            for row in conn.execute(select(mailbox_usage).where(mailbox_usage.c.scope == WHOLE))
        }
        return sum(counted.get(each) != noted.get(each) for each in counted.keys() | noted.keys())
