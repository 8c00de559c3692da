"""Failures, and the way of one message in stages: accepted, tried, delivered or failed, with times."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway import traces
from gateway.bridge.jobs import decode_outbound
from gateway.errors import InvalidInput
from gateway.ids import NativeId
from gateway.operations.queue_desk import TELLS
from gateway.store.failed import Failure, KeptMessages
from gateway.store.jobs import JobState
from gateway.store.messagemap import HashesOf, MessageLink, NativeOf
from gateway.store.overview import (
    FailingJobs,
    FailureNumbered,
    JobNumbered,
    JobSeen,
    JobsSeen,
    NewestFailures,
    QueueFilter,
)
from gateway.store.status import Status, StatusesOfMessage, StatusOf
from gateway.store.steering import GIVEN_UP, SET_ASIDE
from gateway.web.admin_desk import Desk, hidden, number
from gateway.web.admin_parties import Parties, parties_of, parties_of_failure
from gateway.web.admin_queue import told_of
from gateway.web.admin_view import StateSeen, job_state, kind_of

LISTED: Final = 100
LOOKED_AT: Final = 2_000
"""Failures, and jobs, among which an id is looked for: the youngest of those, the oldest of these."""
LOOKED_INTO: Final = 100_000
"""Bytes of a job that is read for it."""
KEPT_MS: Final = 7 * 24 * 3600 * 1000
"""How long whoever wrote a message that failed can ask for another try (`gateway.operations.housekeeping`)."""
_STATES: Final = {
    "sent": StateSeen("waiting", "Sent on"),
    "delivered": StateSeen("ok", "Delivered"),
    "opened": StateSeen("ok", "Seen"),
    "failed": StateSeen("failed", "Failed"),
    "waiting": StateSeen("waiting", "Waits"),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a message; ``at`` (ms) is None for what has no time of its own."""

    state: StateSeen
    at: int | None
    what: str
    more: str = ""


class TracePages:
    """Routes of failures and traces."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def failures(self, request: Request) -> Response:
        """What is on hold, what fails and is tried again, and what was given up."""
        store, now = self._desk.store, self._desk.clock()
        names = "names" in request.query_params
        held = await store.read(JobsSeen(QueueFilter(state=JobState.HOLD), LISTED))
        failing = await store.read(FailingJobs(LISTED))
        ended = await store.read(NewestFailures(LISTED))
        return await self._desk.page(
            request,
            "failures",
            jobs=[(each, job_state(each, now), hidden(each.reason, names=names)) for each in (*failing, *held)],
            ended=[(each, parties_of_failure(each).trace, hidden(each.reason, names=names)) for each in ended],
            names=names,
            most=LISTED,
        )

    async def trace(self, request: Request) -> Response:
        """One message: by the number of its job or of its failure, or by an id that somebody has."""
        asked, names = request.query_params, "names" in request.query_params
        sought = asked.get("id", "").strip()[:300]
        job, failure = await self._found(asked.get("job", ""), asked.get("failure", ""), sought)
        context: dict[str, object] = {"sought": sought, "names": names, "trace": None, "stages": (), "parties": None}
        if job is not None:
            parties = await parties_of(self._desk.store, job)
            stages = await self._of_job(job, parties, names=names)
            context |= {"trace": parties.trace, "stages": stages, "parties": parties}
        elif failure is not None:
            parties = parties_of_failure(failure)
            stages = await self._of_failure(failure, names=names)
            context |= {"trace": parties.trace, "stages": stages, "parties": parties}
        elif sought:
            context["stages"] = await self._of_passed(sought, names=names)
        return await self._desk.page(request, "trace", job=job, failure=failure, told=told_of(asked), **context)

    async def _found(self, job: str, failure: str, sought: str) -> tuple[JobSeen | None, Failure | None]:
        store = self._desk.store
        numbered = number(job) or (number(sought) if not traces.is_trace(sought) else None)
        if numbered is not None:
            return await store.read(JobNumbered(numbered)), None
        if (numbered := number(failure)) is not None:
            return None, await store.read(FailureNumbered(numbered))
        if not sought:
            return None, None
        for ended in await store.read(NewestFailures(LOOKED_AT)):
            if sought in (ended.native_id, parties_of_failure(ended).trace):
                return None, ended
        for each in await store.read(JobsSeen(QueueFilter(), LOOKED_AT)):
            if each.size <= LOOKED_INTO and await self._is_about(each, sought):
                return each, None
        return None, None

    async def _is_about(self, job: JobSeen, sought: str) -> bool:
        if job.envelope is None and job.kind not in TELLS:
            return False
        parties = await parties_of(self._desk.store, job)
        return sought in (job.envelope, parties.native_id, parties.trace)

    async def _of_job(self, job: JobSeen, parties: Parties, *, names: bool) -> Sequence[Stage]:
        now = self._desk.clock()
        stages = [Stage(StateSeen("ok", "Accepted"), job.created_at, f"{kind_of(job.kind)}, written down as a job.")]
        stages += await self._known(parties, names=names)
        reason = hidden(job.reason, names=names)
        if job.attempts:
            tried = f"Tried {job.attempts} {'time' if job.attempts == 1 else 'times'} in vain."
            stages.append(Stage(StateSeen("failed", "Tried"), None, tried, reason))
        if job.state is JobState.HOLD:
            mine = job.reason.startswith(SET_ASIDE)
            told = "Nobody was told." if mine else "Its sender was told that it failed. Its lane goes on."
            stages.append(Stage(StateSeen("warning", "On hold"), None, told, "" if job.attempts else reason))
        elif job.reason == GIVEN_UP:
            stages.append(Stage(StateSeen("waiting", "Being dropped"), None, "A node that works tells its sender."))
        elif job.due is not None:
            when = "It is its lane's turn." if job.due <= now else "Its lane is tried again then."
            stages.append(Stage(StateSeen("waiting", "Next try"), max(job.due, now), when))
        told = "It is removed then." if job.state is JobState.HOLD else "If it is still here then, its sender is told."
        stages.append(Stage(StateSeen("waiting", "Over"), job.expires_at, told))
        return stages

    async def _of_failure(self, failure: Failure, *, names: bool) -> Sequence[Stage]:
        parties = parties_of_failure(failure)
        reason = hidden(failure.reason, names=names)
        known = [each for each in await self._known(parties, names=names) if each.state.kind != "failed"]
        return (
            *await self._written(failure),
            *known,
            Stage(StateSeen("failed", "Failed"), failure.at, "Given up, and its sender was told.", reason),
            Stage(StateSeen("waiting", "Kept"), failure.at + KEPT_MS, "Until then its sender can ask for another try."),
        )

    async def _of_passed(self, sought: str, *, names: bool) -> Sequence[Stage]:
        """What is left of a message that went through: its links for replies, and what its sender was told last."""
        store, stages = self._desk.store, list[Stage]()
        for network in self._desk.networks:
            own = await store.read(HashesOf(network, NativeId(sought)))
            links = own or await store.read(NativeOf(network, sought))
            stages += map(_linked, links)
            for native_id in dict.fromkeys(link.native_id for link in links) or (NativeId(sought),):
                known = await store.read(StatusesOfMessage(network, native_id, LISTED))
                stages += (_status(each, names=names) for each in known)
        return sorted(stages, key=lambda each: each.at or 0)

    async def _written(self, failure: Failure) -> list[Stage]:
        """When its sender wrote it, as their network says; from what is kept for another try."""
        of = KeptMessages(failure.network, failure.sender, failure.recipient, failure.id - 1, failure.id, 1)
        kept = await self._desk.store.read(of)
        try:
            work = await asyncio.to_thread(decode_outbound, kept[0].payload) if kept else None
        except InvalidInput:
            work = None
        if work is None:
            return []
        return [Stage(StateSeen("ok", "Written"), work.sent_at, "What its network says; it was accepted at once.")]

    async def _known(self, parties: Parties, *, names: bool) -> list[Stage]:
        """What the tables of messages say about one that came from a network."""
        if parties.native_id is None or parties.network is None or parties.recipient is None:
            return []
        store = self._desk.store
        links = await store.read(HashesOf(parties.network, parties.native_id))
        status = await store.read(StatusOf(parties.network, parties.native_id, parties.recipient))
        return [*map(_linked, links), *([] if status is None else [_status(status, names=names)])]


def _linked(link: MessageLink) -> Stage:
    way = "Sealed and handed to a delivery service." if link.outbound else "Handed to the network."
    return Stage(StateSeen("ok", "Passed on"), link.created_at, way)


def _status(status: Status, *, names: bool) -> Stage:
    state = _STATES.get(status.state, StateSeen("waiting", status.state.capitalize()))
    return Stage(state, status.at, "What its sender was told last.", hidden(status.reason, names=names))
