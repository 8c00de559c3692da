"""A signed text record by CCIP-read: CPU beside that of the signature alone, and how long clients wait."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Final

from gateway.ens.abi import dynamic_bytes, pack
from gateway.ens.names import dns_encode, namehash
from gateway.ids import EnsName
from gateway.resolver.calls import RESOLVE, TEXT
from gateway.store import Store
from gateway.store.names import NameRow, PutName
from tests.bench.load import write_requests
from tests.bench.machine import SERVER_CORE
from tests.bench.people import http_request
from tests.bench.processes import Load, line_process, load_generator, serving
from tests.bench.results import Figure, ratios
from tests.bench.scale import Scale
from tests.bench.world import PARENT, World, founded

CLIENTS: Final = 16
CPU_US: Final = 250.0
P99_MS: Final = 20.0
TEXT_START: Final = "https://example.org/"
AT_ONCE: Final = 500


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Every name once in each round; server and floor take turns on one core.

    The order is the same in each round, so that a name comes again when the server has long forgotten its row. The
    first pass, before the rounds and after a warm-up with others, asks for names that it has never seen.
    """
    async with founded(folder, senders=0, recipients=0) as world:
        others = [EnsName(f"other-{index}.{PARENT}") for index in range(scale.warm_up)]
        names = [EnsName(f"person-{index}.{PARENT}") for index in range(scale.names)]
        await _write(world, [*others, *names])
        write_requests([_request(world, name) for name in (*others, *names)], folder / "requests")
        expect = TEXT_START.encode().hex()
        loads: list[Load] = []
        floors: list[float] = []
        async with (
            serving(world.config, world.url) as server,
            load_generator(server, "127.0.0.1", world.port) as generator,
            line_process("tests.bench.signing", SERVER_CORE) as floor,
        ):
            await generator.prepare(folder / "requests")
            await floor.say(world.settings.ens.signer_key_file.read_text(encoding="ascii").strip())
            await generator.run(clients=CLIENTS, start=0, count=scale.warm_up, expect=expect)
            for _ in range(scale.rounds + 1):
                load = await generator.run(clients=CLIENTS, start=scale.warm_up, count=scale.names, expect=expect)
                loads.append(load)
                floors.append(await floor.ask(str(scale.names)))
    return _figures(loads[0], loads[1:], [each / scale.names for each in floors[1:]])


def _figures(first: Load, loads: list[Load], floors: list[float]) -> list[Figure]:
    row = f"look-up, {CLIENTS} clients"
    spent = tuple(1e6 * each.cpu_seconds / len(each.latencies) for each in loads)
    cpu = Figure(row, "CPU per look-up", "µs", spent, CPU_US)
    floor = Figure(row, "a signature, in turn with it", "µs", tuple(1e6 * each for each in floors))
    return [
        cpu,
        floor,
        Figure(row, "CPU by signature", "x", ratios(cpu, floor)),
        Figure(row, "CPU, first pass", "µs", (1e6 * first.cpu_seconds / len(first.latencies),), CPU_US),
        Figure(row, "latency p50", "ms", tuple(1e3 * _quantile(each.latencies, 50) for each in loads)),
        Figure(row, "latency p99", "ms", tuple(1e3 * _quantile(each.latencies, 99) for each in loads), P99_MS),
        Figure(row, "answered", "/s", tuple(len(each.latencies) / each.seconds for each in loads)),
    ]


def _quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _request(world: World, name: EnsName) -> bytes:
    """What ethers sends for getText("url")."""
    text = TEXT + pack(namehash(name), dynamic_bytes(b"url"))
    calldata = RESOLVE + pack(dynamic_bytes(dns_encode(name)), dynamic_bytes(text))
    (contract,) = world.settings.ens.resolver_addresses
    return http_request("GET", f"/ccip/{contract}/0x{calldata.hex()}.json?via={contract}", world.host)


async def _write(world: World, names: list[EnsName]) -> None:
    async with await Store.open(world.settings.store.url) as store:
        for start in range(0, len(names), AT_ONCE):
            await store.commit_all(*(PutName(_row(name)) for name in names[start : start + AT_ONCE]))


def _row(name: EnsName) -> NameRow:
    return NameRow(
        name=name,
        node=namehash(name),
        owner=None,
        address=namehash(name)[:20],
        coins={},
        texts={"url": f"{TEXT_START}{name}", "description": f"This is {name}", "com.github": name},
        contenthash=None,
        created_at=0,
        updated_at=0,
    )
