"""The lanes alone on PostgreSQL: jobs from commit to completion, beside a queue of others on the same server."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench import tasks
from tests.bench.machine import SERVER_CORE
from tests.bench.postgres import Database, database
from tests.bench.processes import LineProcess, line_process
from tests.bench.results import Figure, ratios
from tests.bench.scale import Scale
from tests.support.postgres import MISSING, find_postgres

IN_FLIGHT: Final = 64
"""Commits that wait for their answer at the same time."""
TIMES_THE_PEER: Final = 10.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What some jobs took, in seconds."""

    wall: float
    cpu: float
    database: float


@dataclass(slots=True)
class Rounds:
    """What each round gave."""

    ours: list[Spent] = field(default_factory=list)
    theirs: list[Spent] = field(default_factory=list)


async def measure(_folder: Path, scale: Scale) -> list[Figure]:
    """Both take turns on one core, with the same server on the other. Without PostgreSQL no figures."""
    package = find_postgres()
    if package is None:
        print(MISSING, file=sys.stderr)
        return []
    rounds = Rounds()
    async with (
        database(package) as server,
        _queue("tests.bench.queueing", await server.fresh(migrated=True), scale) as ours,
        _peer(server, scale) as theirs,
    ):
        for index in range(scale.rounds + 1):
            mine = await _worked(server, ours, scale.jobs)
            others = None if theirs is None else await _worked(server, theirs, scale.jobs // scale.fewer_jobs)
            if index:  # the first one warms both up
                rounds.ours.append(mine)
                rounds.theirs += [others] if others is not None else []
    return _figures(rounds, scale)


@asynccontextmanager
async def _queue(module: str, url: str, scale: Scale) -> AsyncIterator[LineProcess]:
    async with line_process(module, SERVER_CORE) as process:
        await process.ask(json.dumps({"url": url, "lanes": scale.lanes, "in_flight": IN_FLIGHT}))
        yield process


@asynccontextmanager
async def _peer(server: Database, scale: Scale) -> AsyncIterator[LineProcess | None]:
    """None where it is not installed."""
    if not tasks.installed():
        yield None
        return
    async with _queue("tests.bench.tasks", await server.fresh(), scale) as process:
        yield process


async def _worked(server: Database, queue: LineProcess, jobs: int) -> Spent:
    before = server.cpu_seconds()
    answer = await queue.ask(str(jobs))
    return Spent(answer["seconds"] / jobs, answer["cpu"] / jobs, (server.cpu_seconds() - before) / jobs)


def _figures(rounds: Rounds, scale: Scale) -> list[Figure]:
    row = f"queue, {scale.lanes:_} lanes".replace("_", " ")
    rate = Figure(row, "jobs, commit to completion", "/s", tuple(1 / each.wall for each in rounds.ours))
    figures = [
        rate,
        Figure(row, "CPU per job", "µs", tuple(1e6 * each.cpu for each in rounds.ours)),
        Figure(row, "CPU of PostgreSQL", "µs", tuple(1e6 * each.database for each in rounds.ours)),
    ]
    if not rounds.theirs:
        return figures
    theirs = Figure(row, "procrastinate, in turn", "/s", tuple(1 / each.wall for each in rounds.theirs))
    return [
        *figures,
        theirs,
        Figure(row, "jobs by procrastinate", "x", ratios(rate, theirs), TIMES_THE_PEER, at_least=True),
        Figure(row, "procrastinate, CPU", "µs", tuple(1e6 * each.cpu for each in rounds.theirs)),
        Figure(row, "PostgreSQL for it", "µs", tuple(1e6 * each.database for each in rounds.theirs)),
    ]
