"""Accepting an envelope: CPU beside the floor, and how long clients wait."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.bench.load import write_requests
from tests.bench.machine import SERVER_CORE
from tests.bench.people import submissions
from tests.bench.processes import LineProcess, Load, line_process, load_generator, serving
from tests.bench.results import Figure, ratios
from tests.bench.scale import Scale
from tests.bench.world import World, founded

CLIENTS: Final = (1, 8, 64)
RATIO: Final = {8: 2.0, 64: 2.0}
"""CPU of an accepted envelope by that of the floor, by number of clients; of one client it is only shown."""
P99_MS: Final = {8: 50.0, 64: 120.0}
TAKEN: Final = '"result":"OK"'


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Server and floor take turns on one core, round by round, with the same requests."""
    async with founded(folder, senders=scale.people, recipients=scale.people) as world:
        requests = folder / "requests"
        number = scale.warm_up + scale.rounds * len(CLIENTS) * scale.envelopes
        write_requests(submissions(world.senders, world.recipients, world.service, number, world.host), requests)
        loads: dict[int, list[Load]] = defaultdict(list)
        floors: dict[int, list[float]] = defaultdict(list)
        async with (
            serving(world.config, world.url) as server,
            load_generator(server, "127.0.0.1", world.port) as generator,
            _floor(world, requests) as floor,
        ):
            await generator.prepare(requests)
            await generator.run(clients=8, start=0, count=scale.warm_up, expect=TAKEN)
            await floor.ask(f"0 {scale.warm_up}")
            start = scale.warm_up
            for _ in range(scale.rounds):
                for clients in CLIENTS:
                    load = await generator.run(clients=clients, start=start, count=scale.envelopes, expect=TAKEN)
                    loads[clients].append(load)
                    floors[clients].append(await floor.ask(f"{start} {scale.envelopes}"))
                    start += scale.envelopes
    return [
        figure
        for clients in CLIENTS
        for figure in _figures(clients, loads[clients], [each / scale.envelopes for each in floors[clients]])
    ]


@asynccontextmanager
async def _floor(world: World, requests: Path) -> AsyncIterator[LineProcess]:
    encryption, signing = world.service_seeds()
    given = {
        "requests": str(requests),
        "encryption": encryption,
        "signing": signing,
        "senders": {person.name: person.keys.signing.public.hex() for person in world.senders},
        "recipients": {person.name: person.keys.encryption.public.hex() for person in world.recipients},
    }
    async with line_process("tests.bench.floor", SERVER_CORE) as process:
        await process.say(json.dumps(given))
        yield process


def _figures(clients: int, loads: list[Load], floors: list[float]) -> list[Figure]:
    row = f"submit, {clients} client{'s' if clients > 1 else ''}"
    spent = tuple(1e6 * load.cpu_seconds / len(load.latencies) for load in loads)
    cpu = Figure(row, "CPU per envelope", "µs", spent)
    floor = Figure(row, "floor, in turn with it", "µs", tuple(1e6 * each for each in floors))
    return [
        cpu,
        floor,
        Figure(row, "CPU by floor", "x", ratios(cpu, floor), RATIO.get(clients)),
        Figure(row, "latency p50", "ms", tuple(1e3 * _quantile(load.latencies, 50) for load in loads)),
        Figure(
            row, "latency p99", "ms", tuple(1e3 * _quantile(load.latencies, 99) for load in loads), P99_MS.get(clients)
        ),
        Figure(row, "accepted", "/s", tuple(len(load.latencies) / load.seconds for load in loads)),
    ]


def _quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
