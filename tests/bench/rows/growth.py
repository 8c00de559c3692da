"""What one operation costs among few others and among many: it should not matter how much there is."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count as counting
from pathlib import Path
from typing import Final

import httpx2

from gateway.ids import EnsName
from gateway.store.engine import sqlite_path
from gateway.store.mailbox import StoredEnvelope
from gateway.store.migrate import upgrade
from tests.bench.filling import TEXT_START, envelopes, fill_lanes, fill_mailbox, fill_names
from tests.bench.load import write_requests
from tests.bench.machine import SERVER_CORE
from tests.bench.people import http_request, log_in, submissions
from tests.bench.processes import LineProcess, LoadGenerator, line_process, load_generator, serving
from tests.bench.queueing import KIND, PAYLOAD, lanes_of
from tests.bench.results import Figure, ratios
from tests.bench.rows.lookup import text_request
from tests.bench.rows.submit import TAKEN
from tests.bench.scale import Scale
from tests.bench.world import HOST, PARENT, World, founded

TIMES: Final = 1.5
"""CPU at the greatest size by that at the least."""
CLIENTS: Final = 8
PAGE: Final = 100
"""Envelopes of a pick-up, or as many as the smallest mailbox has."""
PAGES: Final = 20
IDS: Final = 50
"""Of one acknowledgement."""
LOOKS: Final = 500
"""Names of each round; there may be fewer."""
LANES: Final = 10
"""Leased at once."""
TIMES_LEASED: Final = 20
SMALL_BODY: Final = 160
"""Bytes, so that a million of them fit."""
AVAILABLE: Final = '"available":true'
UNBOUNDED: Final = {
    "DM3_GATEWAY__RELAY__MAILBOX_MESSAGES": "100000000",
    "DM3_GATEWAY__RELAY__MAILBOX_BYTES": "100000000000",
    "DM3_GATEWAY__RELAY__SENDER_MESSAGES": "100000000",
    "DM3_GATEWAY__RELAY__SENDER_BYTES": "100000000000",
    "DM3_GATEWAY__SUBNAMES__LOOKS_PER_MINUTE": "0",
}
"""More than any mailbox here holds: quotas are counted, and never reached."""


@dataclass(slots=True)
class Costs:
    """CPU seconds of one operation by its name and the size of what it is among, in each round."""

    row: str
    by: dict[str, dict[int, list[float]]] = field(default_factory=dict)

    def note(self, operation: str, size: int, seconds: float) -> None:
        """Of one round."""
        self.by.setdefault(operation, {}).setdefault(size, []).append(seconds)

    def figures(self) -> list[Figure]:
        """Of each operation the cost at every size, and the last by the first."""
        figures = []
        for operation, sizes in self.by.items():
            each = [
                Figure(
                    self.row, f"{operation}, {size:_}".replace("_", " "), "µs", tuple(1e6 * spent for spent in costs)
                )
                for size, costs in sizes.items()
            ]
            figures += [*each, Figure(self.row, f"{operation}, grows", "x", ratios(each[-1], each[0]), TIMES)]
        return figures


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """A mailbox, names and lanes, each filled up step by step; at every size the same operations."""
    parts = {"mailbox": _mailbox, "names": _names, "lanes": _lanes}
    figures = []
    for name, part in parts.items():
        (folder / name).mkdir()
        costs = Costs(f"growth, {name}")
        await part(folder / name, scale, costs)
        figures += costs.figures()
    return figures


async def _mailbox(folder: Path, scale: Scale, costs: Costs) -> None:
    async with founded(folder, senders=scale.people, recipients=1) as world:
        number = (len(scale.growing_mailbox) * scale.rounds + 1) * scale.growing_envelopes
        sealed = submissions(world.senders, world.recipients, world.service, number, world.host)
        async with (
            serving(world.config, world.url, environment=UNBOUNDED) as server,
            load_generator(server, HOST, world.port) as generator,
            httpx2.AsyncClient(trust_env=False, timeout=60) as http,
        ):
            (recipient,) = world.recipients
            box = Box(world, generator, iter(sealed), await log_in(http, world.url, recipient), scale)
            await box.round(Costs(""), 0)
            for size in scale.growing_mailbox:
                await box.fill(size)
                for _ in range(scale.rounds):
                    await box.round(costs, size)


class Box:
    """One mailbox that grows."""

    def __init__(
        self, world: World, generator: LoadGenerator, sealed: Iterator[bytes], token: str, scale: Scale
    ) -> None:
        (recipient,) = world.recipients
        self._world = world
        self._generator = generator
        self._sealed = sealed
        self._token = token
        self._each = scale.growing_envelopes
        self._page = min(PAGE, scale.growing_mailbox[0])
        self._coming: Iterator[StoredEnvelope] = envelopes(world, recipient, SMALL_BODY)
        self._size = 0

    async def fill(self, size: int) -> None:
        """Up to so many envelopes."""
        await fill_mailbox(self._world, self._coming, size - self._size)
        self._size = size

    async def round(self, costs: Costs, size: int) -> None:
        """Some come, the oldest are looked at, and those that came are acknowledged."""
        came = [next(self._sealed) for _ in range(self._each)]
        costs.note("submit", size, await self._cpu(came, CLIENTS, TAKEN))
        page = http_request("GET", f"/api/v1/mailbox?limit={self._page}", self._world.host, token=self._token)
        costs.note(f"page of {self._page}", size, await self._cpu([page] * PAGES, 1, '{"envelopes":['))
        costs.note("acknowledge", size, await self._cpu(list(self._acknowledgements()), 1, '{"removed":'))

    def _acknowledgements(self) -> Iterator[bytes]:
        newest = "SELECT id FROM envelopes ORDER BY seq DESC LIMIT ?"
        with closing(sqlite3.connect(sqlite_path(self._world.settings.store.url))) as conn:
            ids = [id_ for (id_,) in conn.execute(newest, (self._each,))]
        for start in range(0, len(ids), IDS):
            body = json.dumps({"ids": ids[start : start + IDS]}).encode()
            path = "/api/v1/mailbox/acknowledgements"
            yield http_request("POST", path, self._world.host, body, self._token)

    async def _cpu(self, requests: Sequence[bytes], clients: int, expect: str) -> float:
        path = self._world.config.parent / "requests"
        return await _cpu(self._generator, path, requests, clients, expect)


async def _cpu(generator: LoadGenerator, path: Path, requests: Sequence[bytes], clients: int, expect: str) -> float:
    """CPU seconds of the server for each request."""
    write_requests(requests, path)
    await generator.prepare(path)
    load = await generator.run(clients=clients, start=0, count=len(requests), expect=expect)
    return load.cpu_seconds / len(requests)


async def _names(folder: Path, scale: Scale, costs: Costs) -> None:
    async with founded(folder, senders=0, recipients=0, claims="open") as world:
        free = (EnsName(f"free-{number}.{PARENT}") for number in counting())
        async with (
            serving(world.config, world.url, environment=UNBOUNDED) as server,
            load_generator(server, HOST, world.port) as generator,
        ):
            there = 0
            for size in scale.growing_names:
                new = [EnsName(f"person-{number}.{PARENT}") for number in range(there, size)]
                await asyncio.to_thread(fill_names, world.settings.store.url, new)
                there, looks = size, min(LOOKS, size)
                asked = [EnsName(f"person-{number}.{PARENT}") for number in range(0, size, size // looks)][:looks]
                for index in range(scale.rounds + 1):
                    operations: Mapping[str, tuple[list[bytes], str]] = {
                        "look-up": ([text_request(world, name) for name in asked], TEXT_START.encode().hex()),
                        "claim's look": ([_availability(world, next(free)) for _ in range(looks)], AVAILABLE),
                    }
                    for operation, (requests, expect) in operations.items():
                        spent = await _cpu(generator, folder / "requests", requests, CLIENTS, expect)
                        if index:  # what the server has never seen costs it more, at any size
                            costs.note(operation, size, spent)
                    await asyncio.sleep(scale.forgetting)


def _availability(world: World, name: EnsName) -> bytes:
    return http_request("GET", f"/api/v1/names/{name}/availability", world.host)


async def _lanes(folder: Path, scale: Scale, costs: Costs) -> None:
    url = f"sqlite:///{folder / 'gateway.db'}"
    await asyncio.to_thread(upgrade, url)
    names = lanes_of(scale.growing_lanes[-1])
    there = 0
    async with line_process("tests.bench.leasing", SERVER_CORE) as process:
        await process.say(json.dumps({"url": url}))
        for size in scale.growing_lanes:
            await asyncio.to_thread(fill_lanes, url, names[there:size], KIND, PAYLOAD)
            there, at_once = size, min(LANES, size)
            await _leased(process, at_once)
            for _ in range(scale.rounds):
                costs.note("lease and complete", size, await _leased(process, at_once))


async def _leased(process: LineProcess, lanes: int) -> float:
    """CPU seconds of one job."""
    spent = [float(await process.ask(str(lanes))) for _ in range(TIMES_LEASED)]
    return sum(spent) / (TIMES_LEASED * lanes)
