"""Overview, names and people, doctor, audit log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.lifecycle import Clock
from gateway.operations.doctor import worst
from gateway.sdk.examination import Finding, State
from gateway.store import Store
from gateway.store.audit import BEGINNING, AuditPage, LoggedEntry, first_break
from gateway.store.names import ListNames, NameRow
from gateway.store.overview import NewestEntries
from gateway.store.queue import QueueCounts
from gateway.store.searching import PeopleSeen
from gateway.store.traffic import Interval, TrafficBetween
from gateway.subnames.signing_in import ascii_name
from gateway.web.admin_desk import Desk, number
from gateway.web.admin_view import bars, by_destination, group_name

HOUR_MS: Final = 3_600_000
HOURS: Final = 24
PER_PAGE: Final = 50
ORIGINS: Final = {"claim": "Claimed", "import": "Imported"}
AT_ONCE: Final = 1_000
"""Entries of the audit log that are checked in one step."""
SEVERITY: Final = {State.FAIL: 0, State.WARN: 1, State.OK: 2}
LATE_MS: Final = 10 * 60_000
"""What waits longer than this is worth a look."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at the whole audit log found; ``broken`` is the first entry that does not fit."""

    at: int
    entries: int
    digest: str
    broken: LoggedEntry | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """The findings of the doctor, and when."""

    at: int
    seconds: float
    found: Mapping[str, Sequence[Finding]]
    worst: str

    @property
    def summary(self) -> str:
        """``2 wrong, 3 worth a look, 40 right``."""
        counts = Counter(each.state for findings in self.found.values() for each in findings)
        words = ((State.FAIL, "wrong"), (State.WARN, "worth a look"), (State.OK, "right"))
        return ", ".join(f"{counts[state]} {word}" for state, word in words if counts[state])


class Pages:
    """Routes; each says what it has to say without scripts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._examined: Examined | None = None
        self._verified: Verified | None = None
        self._busy = asyncio.Lock()

    async def overview(self, request: Request) -> Response:
        """The state of each part, what waits, and how much passed."""
        desk, now = self._desk, self._desk.clock()
        states, counts = await asyncio.gather(desk.states(), desk.store.read(QueueCounts()))
        since = now - now % HOUR_MS - (HOURS - 1) * HOUR_MS
        intervals = await desk.store.read(TrafficBetween(since, now + 1))
        queues = by_destination(counts, now, LATE_MS)
        return await desk.page(
            request,
            "overview",
            states=states,
            away=sorted(part for part, state in states.items() if state != "ok"),
            queues=queues,
            late=[each for each in queues if each.late],
            held=sum(each.held for each in queues),
            bars=bars(_hourly(intervals, since)),
            total=_sum(intervals),
        )

    async def names(self, request: Request) -> Response:
        """Names and bridged people that hold a text, the newest people first."""
        desk = self._desk
        search = request.query_params.get("search", "")[:255].strip().lower()
        rows: list[NameRow] = []
        for parent in desk.parents:
            rows += await desk.store.read(ListNames(parent, PER_PAGE + 1 - len(rows), containing=search))
        people = await desk.store.read(PeopleSeen(search, PER_PAGE + 1))
        return await desk.page(
            request,
            "names",
            search=search,
            ascii_name=ascii_name,
            origins=ORIGINS,
            rows=rows[:PER_PAGE],
            people=people[:PER_PAGE],
            more_names=len(rows) > PER_PAGE,
            more_people=len(people) > PER_PAGE,
        )

    async def doctor(self, request: Request) -> Response:
        """What the last look found."""
        return await self._desk.page(request, "doctor", examined=self._examined, group_name=group_name)

    async def examine(self, request: Request) -> Response:
        """Look again; whoever asks while somebody looks gets what that one finds."""
        before = self._examined
        async with self._busy:
            if self._examined is before:
                now = self._desk.clock()
                found = await self._desk.examine()
                self._examined = Examined(now, (self._desk.clock() - now) / 1000, worst_first(found), worst(found))
        return RedirectResponse("/admin/doctor", 303)

    async def audit(self, request: Request) -> Response:
        """What was done, newest first."""
        before = number(request.query_params.get("before", ""))
        entries = await self._desk.store.read(NewestEntries(PER_PAGE + 1, before))
        return await self._desk.page(
            request,
            "audit",
            entries=entries[:PER_PAGE],
            following=entries[PER_PAGE - 1].seq if len(entries) > PER_PAGE else None,
            before=before,
            verified=self._verified,
        )

    async def verify(self, request: Request) -> Response:
        """Compute every digest anew."""
        before = self._verified
        async with self._busy:
            if self._verified is before:
                self._verified = await verified(self._desk.store, self._desk.clock)
        return RedirectResponse("/admin/audit", 303)


async def verified(store: Store, clock: Clock) -> Verified:
    """Follow the chain from its beginning to its end."""
    now, count, seq, last = clock(), 0, 0, BEGINNING
    while page := await store.read(AuditPage(seq, AT_ONCE)):
        broken = await asyncio.to_thread(first_break, last, page)
        if broken is not None:
            return Verified(now, count, last.hex(), broken)
        count, seq, last = count + len(page), page[-1].seq, page[-1].digest
    return Verified(now, count, last.hex())


def worst_first(found: Mapping[str, Sequence[Finding]]) -> dict[str, Sequence[Finding]]:
    """Groups, and the findings in each, with what is wrong before what is right."""
    groups = {group: sorted(each, key=lambda one: SEVERITY[one.state]) for group, each in found.items()}
    return dict(sorted(groups.items(), key=lambda item: min((SEVERITY[one.state] for one in item[1]), default=9)))


def _hourly(intervals: Sequence[Interval], since: int) -> list[Interval]:
    """One for each hour, those without figures too."""
    known = {each.start: each for each in intervals}
    starts = (since + hour * HOUR_MS for hour in range(HOURS))
    return [known.get(start, Interval(start)) for start in starts]


def _sum(intervals: Sequence[Interval]) -> Interval:
    return Interval(
        0,
        sum(each.messages for each in intervals),
        sum(each.bytes for each in intervals),
        sum(each.notifications for each in intervals),
    )
