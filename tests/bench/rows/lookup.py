"""A signed text record by CCIP-read: CPU beside that of the signature alone, and how long clients wait."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.ens.abi import dynamic_bytes, pack
from gateway.ens.names import dns_encode, namehash
from gateway.ids import EnsName
from gateway.resolver.calls import RESOLVE, TEXT
from tests.bench.filling import TEXT_START, fill_names
from tests.bench.load import write_requests
from tests.bench.machine import SERVER_CORE
from tests.bench.people import http_request
from tests.bench.processes import LineProcess, Load, LoadGenerator, line_process, load_generator, serving
from tests.bench.results import Figure, ratios
from tests.bench.scale import Scale
from tests.bench.world import PARENT, World, founded

CLIENTS: Final = 16
CPU_US: Final = 250.0
P99_MS: Final = 20.0
BY_SIGNATURE: Final = 8.0
"""CPU by that of a signature, when every look-up is of another name."""
HOT_BY_SIGNATURE: Final = 5.0
HOT: Final = 100
"""Names that are asked for all the time."""


@dataclass(slots=True)
class Rounds:
    """What each round gave of one set of names."""

    loads: list[Load] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    """CPU seconds of a signature."""


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Every name once in each round; server and floor take turns on one core.

    The order is the same in each round, so that a name comes again when the server has long forgotten its row. The
    first pass, before the rounds and after a warm-up with others, asks for names that it has never seen. The hot set
    is a hundred of the names again and again.
    """
    async with founded(folder, senders=0, recipients=0) as world:
        others = [EnsName(f"other-{index}.{PARENT}") for index in range(scale.warm_up)]
        names = [EnsName(f"person-{index}.{PARENT}") for index in range(scale.names)]
        await asyncio.to_thread(fill_names, world.settings.store.url, [*others, *names])
        hot = [names[index % HOT % scale.names] for index in range(scale.names)]
        write_requests([text_request(world, name) for name in (*others, *names, *hot)], folder / "requests")
        distinct, again = Rounds(), Rounds()
        async with (
            serving(world.config, world.url) as server,
            load_generator(server, "127.0.0.1", world.port) as generator,
            line_process("tests.bench.signing", SERVER_CORE) as floor,
        ):
            await generator.prepare(folder / "requests")
            await floor.say(world.settings.ens.signer_key_file.read_text(encoding="ascii").strip())
            await _round(Rounds(), generator, floor, 0, scale.warm_up)
            for _ in range(scale.rounds + 1):
                await _round(distinct, generator, floor, scale.warm_up, scale.names)
                await _round(again, generator, floor, scale.warm_up + scale.names, scale.names)
    return _figures(distinct) + _hot_figures(again)


async def _round(rounds: Rounds, generator: LoadGenerator, floor: LineProcess, start: int, count: int) -> None:
    expect = TEXT_START.encode().hex()
    rounds.loads.append(await generator.run(clients=CLIENTS, start=start, count=count, expect=expect))
    rounds.floors.append(await floor.ask(str(count)) / count)


def _figures(rounds: Rounds) -> list[Figure]:
    row = f"look-up, {CLIENTS} clients"
    first, loads = rounds.loads[0], rounds.loads[1:]
    cpu = Figure(row, "CPU per look-up", "µs", _cpu(loads), CPU_US)
    floor = Figure(row, "a signature, in turn with it", "µs", tuple(1e6 * each for each in rounds.floors[1:]))
    return [
        cpu,
        floor,
        Figure(row, "CPU by signature", "x", ratios(cpu, floor), BY_SIGNATURE),
        Figure(row, "CPU, first pass", "µs", _cpu([first]), CPU_US),
        Figure(row, "latency p50", "ms", tuple(1e3 * _quantile(each.latencies, 50) for each in loads)),
        Figure(row, "latency p99", "ms", tuple(1e3 * _quantile(each.latencies, 99) for each in loads), P99_MS),
        Figure(row, "answered", "/s", tuple(len(each.latencies) / each.seconds for each in loads)),
    ]


def _hot_figures(rounds: Rounds) -> list[Figure]:
    row = f"look-up, {HOT} names"
    cpu = Figure(row, "CPU, hot set", "µs", _cpu(rounds.loads[1:]))
    floor = Figure(row, "a signature, in turn", "µs", tuple(1e6 * each for each in rounds.floors[1:]))
    return [cpu, floor, Figure(row, "hot set by signature", "x", ratios(cpu, floor), HOT_BY_SIGNATURE)]


def _cpu(loads: Sequence[Load]) -> tuple[float, ...]:
    return tuple(1e6 * each.cpu_seconds / len(each.latencies) for each in loads)


def _quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def text_request(world: World, name: EnsName) -> bytes:
    """What ethers sends for getText("url")."""
    text = TEXT + pack(namehash(name), dynamic_bytes(b"url"))
    calldata = RESOLVE + pack(dynamic_bytes(dns_encode(name)), dynamic_bytes(text))
    (contract,) = world.settings.ens.resolver_addresses
    return http_request("GET", f"/ccip/{contract}/0x{calldata.hex()}.json?via={contract}", world.host)
