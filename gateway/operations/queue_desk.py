"""What an operator does with the queue, by command or on a page: each change is committed with its line of the log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.dm3.canonical import Json, stringify
from gateway.errors import InvalidInput, JobUnderWay, NotFound
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.audit import Audit, AuditEntry
from gateway.store.op import Op
from gateway.store.overview import JobSeen, JobsSeen, NewestJob, QueueFilter
from gateway.store.steering import GiveUp, LetGo, SetAside

AT_ONCE: Final = 100
"""Jobs of one page; their changes share commits."""
TELLS: Final = frozenset({"inbound", "outbound"})
"""Kinds of jobs that somebody wrote and waits for: messages, either way."""
_SPAN: Final = re.compile(r"([0-9]{1,6})(s|m|h|d)\Z")
_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Action(StrEnum):
    """What can be done to a job."""

    RETRY = "retry"
    """Try it again at once, with its tries forgotten."""
    HOLD = "hold"
    """Set it aside; its lane goes on."""
    DROP = "drop"
    """Give it up; who wrote it is told."""


LOGGED: Final = {Action.RETRY: "queue.retried", Action.HOLD: "queue.held", Action.DROP: "queue.dropped"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Ids of jobs: what was done, and what could not be."""

    done: tuple[int, ...] = ()
    told: int = 0
    """Of those that were dropped, how many senders are told."""
    gone: tuple[int, ...] = ()
    under_way: tuple[int, ...] = ()
    as_it_was: tuple[int, ...] = ()
    """On hold already."""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.done + other.done,
            self.told + other.told,
            self.gone + other.gone,
            self.under_way + other.under_way,
            self.as_it_was + other.as_it_was,
        )

    @property
    def refused(self) -> int:
        """How many could not be done."""
        return len(self.gone) + len(self.under_way) + len(self.as_it_was)


class QueueDesk:
    """Works on the database alone: a node may run meanwhile, here or elsewhere, or none."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def act(self, action: Action, jobs: Sequence[JobSeen], actor: str, *, silent: bool = False) -> Outcome:
        """Do it to each of these; ``actor`` is named in the log, ``silent`` drops without telling anybody."""
        done = await asyncio.gather(*(self._one(action, job, actor, silent=silent) for job in jobs))
        return sum(done, Outcome())

    async def act_on_all(self, action: Action, wanted: QueueFilter, actor: str, *, silent: bool = False) -> Outcome:
        """Do it to every job that is meant and is there now."""
        outcome = Outcome()
        async for page in self.pages(wanted):
            outcome += await self.act(action, page, actor, silent=silent)
        return outcome

    async def pages(self, wanted: QueueFilter) -> AsyncIterator[list[JobSeen]]:
        """Jobs in the order of their ids; those that come meanwhile are left out, whatever becomes of the others."""
        newest = await self._store.read(NewestJob())
        after = 0
        while page := await self._store.read(JobsSeen(wanted, AT_ONCE, after)):
            after = page[-1].id
            if wanted_now := [job for job in page if job.id <= newest]:
                yield wanted_now
            if after >= newest:
                return

    async def _one(self, action: Action, job: JobSeen, actor: str, *, silent: bool) -> Outcome:
        now = self._clock()
        detail: dict[str, Json] = {"destination": job.destination, "kind": job.kind, "attempts": job.attempts}
        if action is Action.DROP:
            detail["silent"] = silent
        entry = AuditEntry(now, actor, LOGGED[action], f"job:{job.id}", stringify(detail))
        try:
            result, _ = await self._store.commit_all(_op(action, job, now, silent=silent), Audit(entry))
        except NotFound:
            return Outcome(gone=(job.id,))
        except JobUnderWay:
            return Outcome(under_way=(job.id,))
        except InvalidInput:
            return Outcome(as_it_was=(job.id,))
        return Outcome(done=(job.id,), told=int(result is True))


def _op(action: Action, job: JobSeen, now: int, *, silent: bool) -> Op[Any]:
    match action:
        case Action.RETRY:
            return LetGo(job.id)
        case Action.HOLD:
            return SetAside(job.id, now)
        case Action.DROP:
            return GiveUp(job.id, now, tell=not silent and job.kind in TELLS, envelope=job.envelope)


def span_ms(text: str) -> int:
    """A time as operators write it, ``90s``, ``10m``, ``2h`` or ``3d``, in milliseconds; raises InvalidInput."""
    found = _SPAN.match(text.strip())
    if found is None:
        raise InvalidInput(f"{text!r} is no time such as 90s, 10m, 2h or 3d")
    return int(found[1]) * _UNITS[found[2]]
