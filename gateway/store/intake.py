"""Events of a network on their way into the lanes: written down once each, before the network is told so."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from gateway.ids import LaneKey
from gateway.store.jobs import NewJob, insert_jobs
from gateway.store.once import CLAIM


@dataclass(frozen=True, slots=True)
class Arrival:
    """A job for an event, and the network's own id of the event; "" for one that is nothing new when it comes again."""

    key: str
    job: NewJob = field(repr=False)


@dataclass(frozen=True, slots=True)
class TakeArrivals:
    """Put what was not taken before under ``scope`` into its lanes, in order; returns how many are new.

    Keys count until ``expires_at`` (ms), and are committed together with the jobs.
    """

    scope: str
    arrivals: tuple[Arrival, ...]
    expires_at: int

    def lanes(self) -> tuple[LaneKey, ...]:
        """Lanes of all events."""
        return tuple(dict.fromkeys(each.job.lane for each in self.arrivals))

    def wakes(self, result: int) -> bool:
        """New jobs are work."""
        return result > 0

    def apply(self, conn: Connection) -> int:
        """Claim the keys, then append the jobs of those that were free."""
        first = {each.key: each for each in reversed(self.arrivals) if each.key}
        keys = [{"scope": self.scope, "key": key, "expires_at": self.expires_at} for key in sorted(first)]
        free = {row[0] for row in CLAIM.run(conn, keys)}
        new = [each for each in self.arrivals if not each.key or (each.key in free and first[each.key] is each)]
        if new:
            insert_jobs(conn, [each.job for each in new])
        return len(new)
