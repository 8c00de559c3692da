"""The queue: lanes and jobs, and what an operator does with them, asked once more before it cannot be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.errors import InvalidParams
from gateway.ids import LaneKey
from gateway.operations.queue_desk import Action, Outcome, span_ms
from gateway.store.jobs import JobState
from gateway.store.overview import JobNumbered, JobSeen, JobsSeen, LanesSeen, QueueFilter
from gateway.store.queue import QueueCounts
from gateway.web.admin_desk import Desk, first, hidden, number
from gateway.web.admin_parties import parties_of
from gateway.web.admin_view import job_state, lane_state

LANES: Final = 200
JOBS: Final = 200
SPANS: Final = {"": "any time", "10m": "10 minutes", "1h": "an hour", "1d": "a day"}
"""How long something may have waited, to choose from."""
ASKS: Final = {Action.HOLD, Action.DROP}
"""Actions that are confirmed."""


class QueuePages:
    """Routes of the queue."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def queue(self, request: Request) -> Response:
        """Lanes, failing and oldest first, and jobs on hold."""
        desk, now, asked = self._desk, self._desk.clock(), request.query_params
        destination, older = asked.get("adapter", ""), asked.get("older", "")
        if older not in SPANS:
            raise InvalidParams("there is no such time to choose")
        names = "names" in asked
        wanted = QueueFilter(destination or None, None, now - span_ms(older) if older else None)
        lanes = await desk.store.read(LanesSeen(wanted, LANES))
        held = await desk.store.read(JobsSeen(_held(wanted), JOBS))
        counts = await desk.store.read(QueueCounts())
        return await desk.page(
            request,
            "queue",
            lanes=[(each, lane_state(each, now), hidden(each.reason, names=names)) for each in lanes],
            held=[(each, job_state(each, now), hidden(each.reason, names=names)) for each in held],
            destinations=list(dict.fromkeys(each.destination for each in counts)),
            anything=bool(counts),
            destination=destination,
            older=older,
            spans=SPANS,
            names=names,
            most=LANES,
            told=told_of(asked),
        )

    async def lane(self, request: Request) -> Response:
        """The jobs of one lane, in their order."""
        desk, now, asked = self._desk, self._desk.clock(), request.query_params
        wanted, names = QueueFilter(lane=LaneKey(asked.get("name", ""))), "names" in asked
        lanes = await desk.store.read(LanesSeen(wanted, 1))
        jobs = await desk.store.read(JobsSeen(wanted, JOBS))
        people = {each.id: await parties_of(desk.store, each) for each in jobs} if names else {}
        return await desk.page(
            request,
            "lane",
            name=asked.get("name", ""),
            lane=lanes[0] if lanes else None,
            how=lane_state(lanes[0], now) if lanes else None,
            jobs=[(each, job_state(each, now), hidden(each.reason, names=names)) for each in jobs],
            people=people,
            names=names,
            most=JOBS,
            told=told_of(asked),
        )

    async def act(self, request: Request) -> Response:
        """Retry, hold or drop jobs; the last two when they were confirmed."""
        desk = self._desk
        fields = await desk.form(request)
        action = _action(first(fields, "action"))
        jobs, gone = await self._jobs(fields)
        if action in ASKS and not first(fields, "sure"):
            wanted = _filter(fields)
            count = len(jobs) if wanted is None else await self._count(wanted)
            return await desk.page(
                request,
                "sure",
                action=action.value,
                count=count,
                jobs=[(each, job_state(each, desk.clock())) for each in jobs],
                fields=fields,
                back=_back(fields),
            )
        silent = first(fields, "silent") == "1"
        wanted = _filter(fields)
        if wanted is not None:
            outcome = await desk.queue.act_on_all(action, wanted, request.state.actor, silent=silent)
        else:
            outcome = await desk.queue.act(action, jobs, request.state.actor, silent=silent)
        return _done(action, outcome + Outcome(gone=gone), _back(fields))

    async def _jobs(self, fields: Mapping[str, list[str]]) -> tuple[list[JobSeen], tuple[int, ...]]:
        """The jobs that are named, and the numbers of those that are not there any more."""
        numbers = [found for text in fields.get("job", []) if (found := number(text)) is not None]
        there: list[JobSeen] = []
        gone: list[int] = []
        for each in dict.fromkeys(numbers):
            job = await self._desk.store.read(JobNumbered(each))
            gone.append(each) if job is None else there.append(job)
        return there, tuple(gone)

    async def _count(self, wanted: QueueFilter) -> int:
        count = 0
        async for page in self._desk.queue.pages(wanted):
            count += len(page)
        return count


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        raise InvalidParams("there is no such action") from None


def _filter(fields: Mapping[str, list[str]]) -> QueueFilter | None:
    """All jobs on hold, of one destination when it is given; None when jobs were named."""
    if first(fields, "all") != "held":
        return None
    return QueueFilter(first(fields, "adapter") or None, JobState.HOLD)


def _held(wanted: QueueFilter) -> QueueFilter:
    return QueueFilter(wanted.destination, JobState.HOLD, wanted.before)


def _back(fields: Mapping[str, list[str]]) -> str:
    """The page that the form was on."""
    lane = first(fields, "lane")
    if lane:
        return f"/admin/queue/lane?{urlencode({'name': lane})}"
    return "/admin/trace?" + urlencode({"job": first(fields, "job")}) if first(fields, "from") == "trace" else ""


def _done(action: Action, outcome: Outcome, back: str) -> Response:
    figures = {"did": action.value, "done": len(outcome.done), "refused": outcome.refused, "informed": outcome.told}
    there = back or "/admin/queue?"
    return RedirectResponse(f"{there}{'' if there.endswith('?') else '&'}{urlencode(figures)}", 303)


def told_of(asked: Mapping[str, str]) -> Sequence[str]:
    """What the last action did, in sentences; made from numbers alone."""
    words = {"retry": "to be tried again", "hold": "set aside", "drop": "dropped"}
    word, done = words.get(asked.get("did", "")), number(asked.get("done", ""))
    if word is None or done is None:
        return ()
    refused, informed = number(asked.get("refused", "")), number(asked.get("informed", ""))
    told = [f"{done} {'job' if done == 1 else 'jobs'} {word}."]
    if informed:
        told.append(f"{informed} {'sender is' if informed == 1 else 'senders are'} told that it was not delivered.")
    if refused:
        told.append(f"{refused} could not be: done meanwhile, or being tried this moment. Look again in some seconds.")
    return told
