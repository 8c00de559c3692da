"""Accepting envelopes on PostgreSQL: one node beside the bare inserts of its rows, and two nodes beside one."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.web.server import listen
from tests.bench.load import write_requests
from tests.bench.machine import DATABASE_CORE, LOAD_CORE, SECOND_CORE, SERVER_CORE, pin_family
from tests.bench.people import submissions
from tests.bench.postgres import Database, database
from tests.bench.processes import LineProcess, Load, LoadGenerator, line_process, load_generator, serving
from tests.bench.results import Figure, ratios
from tests.bench.rows.submit import TAKEN
from tests.bench.scale import Scale
from tests.bench.world import HOST, founded
from tests.support.postgres import MISSING, find_postgres

CLIENTS: Final = 64
"""Of one node; two have half of them each."""
BY_FLOOR: Final = 0.7
TWO_BY_ONE: Final = 1.5


@dataclass(slots=True)
class Rounds:
    """What each round gave."""

    one: list[Load] = field(default_factory=list)
    two: list[tuple[Load, Load]] = field(default_factory=list)
    floor: list[dict[str, float]] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    """CPU seconds of PostgreSQL for one node's envelopes, and for the floor's."""
    database_of_floor: list[float] = field(default_factory=list)
    database_of_two: list[float] = field(default_factory=list)


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """One node, the floor, two nodes, in each round. Without PostgreSQL no figures."""
    package = find_postgres()
    if package is None:
        print(MISSING, file=sys.stderr)
        return []
    rounds = Rounds()
    async with database(package) as server:
        url = await server.fresh()
        with listen(HOST, 0) as reserved:
            other: int = reserved.getsockname()[1]
            async with founded(folder, senders=scale.people, recipients=scale.people, store_url=url) as world:
                requests = folder / "requests"
                number = 2 * (scale.warm_up + scale.rounds * scale.envelopes)
                sealed = submissions(world.senders, world.recipients, world.service, number, world.host)
                write_requests(sealed, requests)
                second = {"DM3_GATEWAY__SERVER__PORT": str(other)}
                async with (
                    serving(world.config, world.url) as one,
                    serving(world.config, f"http://{HOST}:{other}", core=SECOND_CORE, environment=second) as two,
                    load_generator(one, HOST, world.port) as to_one,
                    load_generator(two, HOST, other) as to_two,
                    line_process("tests.bench.inserting", SERVER_CORE) as floor,
                ):
                    await floor.say(json.dumps({"url": url}))
                    street = Street(server, to_one, to_two, floor)
                    await street.prepare(requests)
                    await street.round(Rounds(), scale.warm_up)
                    for _ in range(scale.rounds):
                        await street.round(rounds, scale.envelopes)
    return _figures(rounds, scale.envelopes)


class Street:
    """Nodes, floor and the database behind them."""

    def __init__(self, server: Database, to_one: LoadGenerator, to_two: LoadGenerator, floor: LineProcess) -> None:
        self._server = server
        self._generators = (to_one, to_two)
        self._floor = floor
        self._sent = 0

    async def prepare(self, requests: Path) -> None:
        """Both generators read all requests."""
        for each in self._generators:
            await each.prepare(requests)

    async def round(self, rounds: Rounds, count: int) -> None:
        """``count`` envelopes to one node, the same rows by the floor, as many others to both nodes."""
        self._place(DATABASE_CORE, LOAD_CORE)
        before = self._server.cpu_seconds()
        rounds.one.append(await self._to(0, CLIENTS, count))
        between = self._server.cpu_seconds()
        rounds.floor.append(await self._floor.ask("insert"))
        after = self._server.cpu_seconds()
        rounds.database.append(between - before)
        rounds.database_of_floor.append(after - between)
        self._place(None, None)
        half = count // 2
        both = self._to(0, CLIENTS // 2, half), self._to(1, CLIENTS // 2, count - half)
        rounds.two.append(await asyncio.gather(*both))
        rounds.database_of_two.append(self._server.cpu_seconds() - after)
        await self._floor.ask("skip")

    async def _to(self, node: int, clients: int, count: int) -> Load:
        start = self._sent
        self._sent += count
        return await self._generators[node].run(clients=clients, start=start, count=count, expect=TAKEN)

    def _place(self, database_core: int | None, load_core: int | None) -> None:
        self._server.pin(database_core)
        for each in self._generators:
            pin_family(each.pid, load_core)


def _figures(rounds: Rounds, count: int) -> list[Figure]:
    row, two = f"submit, PostgreSQL, {CLIENTS} clients", "submit, PostgreSQL, two nodes"
    rate = Figure(row, "accepted", "/s", tuple(count / each.seconds for each in rounds.one))
    floor = Figure(row, "inserts alone, in turn", "/s", tuple(each["rows"] / each["seconds"] for each in rounds.floor))
    # The node that ends last ends the round.
    both = Figure(two, "accepted", "/s", tuple(count / max(each.seconds for each in pair) for pair in rounds.two))
    return [
        rate,
        floor,
        Figure(row, "accepted by inserts", "x", ratios(rate, floor), BY_FLOOR, at_least=True),
        Figure(row, "envelopes in a commit", "", tuple(each["rows"] / each["batches"] for each in rounds.floor)),
        Figure(row, "CPU of the node", "µs", _each(rounds.one, count)),
        Figure(row, "CPU of PostgreSQL", "µs", tuple(1e6 * each / count for each in rounds.database)),
        Figure(row, "CPU of the inserts", "µs", tuple(1e6 * each["cpu"] / count for each in rounds.floor)),
        Figure(row, "PostgreSQL for them", "µs", tuple(1e6 * each / count for each in rounds.database_of_floor)),
        Figure(row, "latency p99", "ms", tuple(1e3 * _p99(each.latencies) for each in rounds.one)),
        both,
        Figure(two, "by one node", "x", ratios(both, rate), TWO_BY_ONE, at_least=True),
        Figure(
            two, "CPU of both nodes", "µs", tuple(1e6 * sum(each.cpu_seconds for each in p) / count for p in rounds.two)
        ),
        Figure(two, "CPU of PostgreSQL", "µs", tuple(1e6 * each / count for each in rounds.database_of_two)),
        Figure(
            two,
            "latency p99",
            "ms",
            tuple(1e3 * _p99([each for load in pair for each in load.latencies]) for pair in rounds.two),
        ),
    ]


def _each(loads: Sequence[Load], count: int) -> tuple[float, ...]:
    return tuple(1e6 * load.cpu_seconds / count for load in loads)


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]
