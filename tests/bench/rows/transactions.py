"""Taking what a Matrix homeserver pushes: 200 after the commit, beside a service that only counts."""

from __future__ import annotations

import json
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.bridge.jobs import decode_events, event_lane
from gateway.ids import Network
from gateway.web.server import listen
from tests.bench import peer
from tests.bench.lanes import Lanes
from tests.bench.load import write_requests
from tests.bench.machine import SERVER_CORE
from tests.bench.matrix import ROOMS, TRANSACTION_EVENTS, adapter_table, transactions
from tests.bench.processes import Load, LoadGenerator, Server, line_process, load_generator, serving
from tests.bench.results import Figure, ratios
from tests.bench.scale import Scale
from tests.bench.world import HOST, founded

NOWHERE: Final = "http://127.0.0.1:1"
"""The homeserver: nobody answers there, and for what is measured nobody needs to."""
TIMES_THE_PEER: Final = 10.0
P99_MS: Final = 50.0
TAKEN: Final = "{}"


@dataclass(slots=True)
class Rounds:
    """What each round gave."""

    accepted: list[Load] = field(default_factory=list)
    """While another node had the lanes: taking alone."""
    busy: list[Load] = field(default_factory=list)
    """While the node handled what it had just taken."""
    whole: list[float] = field(default_factory=list)
    """CPU seconds from the first request until the queue was empty, of the same."""
    peer: list[Load] = field(default_factory=list)


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """One connection, as Synapse has it; node and peer take turns on one core.

    The rooms have no portals, so an event is written down, handed to the adapter by its lane, and is nothing to it.
    """
    table, token = adapter_table(folder, NOWHERE)
    async with founded(folder, senders=0, recipients=0, adapters={"matrix": table}) as world:
        number = (2 * scale.rounds + 1) * scale.transactions
        write_requests(transactions(number, token, world.host), folder / "requests")
        lanes = Lanes(world, [event_lane(Network("matrix"), room) for room in ROOMS])
        rounds = Rounds()
        async with (
            serving(world.config, world.url) as server,
            load_generator(server, HOST, world.port) as generator,
            _peer(folder, token) as other,
        ):
            await generator.prepare(folder / "requests")
            if other is not None:
                await other.prepare(folder / "requests")
            await _round(Rounds(), scale, 0, generator, server, lanes, other, warm_up=True)
            for index in range(scale.rounds):
                start = (2 * index + 1) * scale.transactions
                await _round(rounds, scale, start, generator, server, lanes, other)
        lanes.close()
    return _figures(rounds)


async def _round(
    rounds: Rounds,
    scale: Scale,
    start: int,
    generator: LoadGenerator,
    server: Server,
    lanes: Lanes,
    other: LoadGenerator | None,
    *,
    warm_up: bool = False,
) -> None:
    count = scale.transactions
    if not warm_up:
        lanes.hold()
        rounds.accepted.append(await generator.run(clients=1, start=start, count=count, expect=TAKEN))
        _check(lanes, count * TRANSACTION_EVENTS)
        lanes.release()
        await lanes.empty()
        start += count
    if other is not None:
        rounds.peer.append(await other.run(clients=1, start=start, count=count, expect=TAKEN))
    before = server.cpu_seconds()
    rounds.busy.append(await generator.run(clients=1, start=start, count=count, expect=TAKEN))
    await lanes.empty()
    rounds.whole.append(server.cpu_seconds() - before)


def _check(lanes: Lanes, events: int) -> None:
    """RuntimeError unless so many wait."""
    if (found := sum(len(decode_events(payload)) for payload in lanes.payloads())) != events:
        raise RuntimeError(f"{found} events wait where {events} were taken")


@asynccontextmanager
async def _peer(folder: Path, token: str) -> AsyncIterator[LoadGenerator | None]:
    """The peer with a load generator of its own; None where it is not installed."""
    if not peer.installed():
        yield None
        return
    with listen(HOST, 0) as reserved:
        port: int = reserved.getsockname()[1]
        async with line_process("tests.bench.peer", SERVER_CORE) as process:
            await process.ask(json.dumps({"port": port, "token": token, "folder": str(folder)}))
            async with load_generator(Server(process.pid, 0.0), HOST, port) as generator:
                yield generator


def _figures(rounds: Rounds) -> list[Figure]:
    row = "Matrix transaction, 100 events"
    rate = Figure(row, "taken", "events/s", tuple(map(_rate, rounds.accepted)))
    cpu = Figure(row, "CPU per event", "µs", tuple(map(_cpu, rounds.accepted)))
    figures = [rate, cpu]
    if rounds.peer:
        theirs = Figure(row, "mautrix, in turn with it", "events/s", tuple(map(_rate, rounds.peer)))
        their_cpu = Figure(row, "mautrix, CPU per event", "µs", tuple(map(_cpu, rounds.peer)))
        times = Figure(row, "taken by mautrix", "x", ratios(rate, theirs), TIMES_THE_PEER, at_least=True)
        figures += [theirs, their_cpu, times, Figure(row, "CPU by mautrix", "x", ratios(cpu, their_cpu))]
    events = TRANSACTION_EVENTS * len(rounds.busy[0].latencies)
    return [
        *figures,
        Figure(row, "latency p50", "ms", tuple(1e3 * statistics.median(each.latencies) for each in rounds.accepted)),
        Figure(row, "latency p99", "ms", tuple(1e3 * _p99(each.latencies) for each in rounds.accepted), P99_MS),
        Figure(row, "taken while handling", "events/s", tuple(map(_rate, rounds.busy))),
        Figure(row, "CPU until handled", "µs", tuple(1e6 * each / events for each in rounds.whole), note="per event"),
    ]


def _rate(load: Load) -> float:
    return TRANSACTION_EVENTS * len(load.latencies) / load.seconds


def _cpu(load: Load) -> float:
    return 1e6 * load.cpu_seconds / (TRANSACTION_EVENTS * len(load.latencies))


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]
