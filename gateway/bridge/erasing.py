"""Removing what is known about a person who is deleted: at once, and once more when what was under way has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import TypeAdapter, ValidationError

from gateway.bridge.jobs import JobKind, notice_lane, report_lane
from gateway.errors import InvalidInput
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.erasure import (
    TABLES,
    EnvelopesAbout,
    EraseRows,
    HeldJobsNaming,
    JobsAbout,
    LanesNaming,
    RowsAbout,
    Traces,
    UnnameLanes,
    ValuesAbout,
    WithdrawEnvelopes,
)
from gateway.store.jobs import Enqueue, Job, NewJob, lane_key
from gateway.store.op import Query
from gateway.store.queue import DropJob
from gateway.work.results import Checkpoint, Done, Result

log = structlog.get_logger(__name__)

ERASE: Final = "erase"
"""Kind of the job that looks a second time."""
SECOND_LOOK_MS: Final = 30_000
"""After which nothing that began before a deletion is under way any more, and an adapter has said its farewell."""
LIFE_MS: Final = 30 * 24 * 3600 * 1000

_TRACES: Final = TypeAdapter(Traces)


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows went, by table."""

    rows: dict[str, int]

    def of(self, table: str) -> int:
        """Of one table."""
        return self.rows.get(table, 0)

    def __add__(self, other: Erased) -> Erased:
        return Erased({table: count + other.of(table) for table, count in self.rows.items()})


async def erase(store: Store, traces: Traces) -> Erased:
    """Remove jobs, envelopes and rows about a person; not what their network's adapter remembers. Raises Unavailable.

    May be repeated; what comes meanwhile is left to the next time.
    """
    gone = {"jobs": 0, "envelopes": 0}
    lanes = (report_lane(traces.network, traces.canonical_id), notice_lane(traces.network, traces.canonical_id))
    while found := await store.read(EnvelopesAbout(traces)):
        ids = tuple(id_ for id_, _ in found)
        gone["envelopes"] += await store.commit(WithdrawEnvelopes(tuple(found)))
        gone["jobs"] += await _drop_jobs(store, JobsAbout(traces.names[0], of=ids))
    gone["jobs"] += await _drop_jobs(store, JobsAbout(traces.names[0], lanes))
    gone["jobs"] += await _drop_jobs(store, HeldJobsNaming(JobKind.EVENT, traces.network, traces.canonical_id))
    while found_lanes := await store.read(LanesNaming(traces.names[0])):
        await store.commit(UnnameLanes(tuple(found_lanes)))
    for table in TABLES:
        gone[table] = await _erase_rows(store, table, RowsAbout(table, traces))
    return Erased(gone)


def second_look(traces: Traces, now: int) -> Enqueue:
    """The job that does it again, and for what the adapter remembers; its payload is the last that names them."""
    lane = lane_key(ERASE, report_lane(traces.network, traces.canonical_id).partition(":")[2])
    return Enqueue(NewJob(lane, ERASE, _TRACES.dump_json(traces), now, now + LIFE_MS, due_at=now + SECOND_LOOK_MS))


class Erasing:
    """Handles ERASE jobs."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Look through everything; what raises comes again."""
        try:
            traces = _TRACES.validate_json(job.payload)
        except ValidationError:
            raise InvalidInput("not the payload of an erasure") from None
        erased = await erase(self._store, traces)
        about = ValuesAbout(traces.network, traces.canonical_id)
        values = await _erase_rows(self._store, "adapter_values", about)
        log.info("person.erased", network=traces.network, rows=sum(erased.rows.values()), values=values)
        return Done()

    async def expire(self, job: Job) -> Done:
        """Thirty days without a database that answers; an operator can do it again."""
        log.error("person.not_erased", job=job.id, reason=job.reason)
        return Done()


async def _erase_rows(store: Store, table: str, query: Query[list[tuple[Any, ...]]]) -> int:
    removed = 0
    while keys := await store.read(query):
        rows = await store.commit(EraseRows(table, tuple(keys)))
        if not rows:
            break
        removed += rows
    return removed


async def _drop_jobs(store: Store, query: Query[list[int]]) -> int:
    dropped = 0
    while numbers := await store.read(query):
        gone = [await store.commit(DropJob(number)) for number in numbers]
        if not any(gone):
            break
        dropped += sum(gone)
    return dropped
