"""A node at half of what it can take, for minutes: memory, open files and answers should stay as they are."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from gateway.store.engine import sqlite_path
from tests.bench.load import write_requests
from tests.bench.people import log_in, submissions
from tests.bench.processes import Load, LoadGenerator, Server, load_generator, serving
from tests.bench.results import Figure
from tests.bench.rows.submit import TAKEN
from tests.bench.scale import Scale
from tests.bench.world import HOST, World, founded

CLIENTS: Final = 32
SHARE: Final = 0.5
"""Of the measured rate."""
MEASURED: Final = 3
"""Runs at full speed, of which the middle one counts."""
SLOPE_MB: Final = 1.0
"""A minute."""
NO_MORE_FILES: Final = 1.0
TIMES_P99: Final = 1.5
PAGE: Final = 1_000
WARMING: Final = 0.2
"""Share of the time that does not count: what is loaded and kept for later is still growing."""
WITHOUT_LIMITS: Final = {
    "DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "0",
    "DM3_GATEWAY__RELAY__SENDER_MESSAGES": "1000000",
    "DM3_GATEWAY__RELAY__MAILBOX_MESSAGES": "1000000",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """After some seconds of the load."""

    minute: float
    resident: int
    """Bytes."""
    descriptors: int
    p99: float
    """Seconds, of the requests since the sample before."""


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Submissions at a steady rate; in between everybody picks up and acknowledges what came."""
    async with founded(folder, senders=scale.people, recipients=scale.people) as world:
        requests = folder / "requests"
        write_requests(submissions(world.senders, world.recipients, world.service, scale.soaking, world.host), requests)
        async with (
            serving(world.config, world.url, environment=WITHOUT_LIMITS) as server,
            load_generator(server, HOST, world.port) as generator,
            httpx2.AsyncClient(trust_env=False, timeout=60) as http,
        ):
            await generator.prepare(requests)
            bath = Bath(world, server, generator, http, scale.soaking)
            rate = SHARE * statistics.median([await bath.full_speed() for _ in range(MEASURED)])
            samples = await bath.soak(rate, scale.minutes)
    return _figures(rate, samples)


class Bath:
    """The same envelopes again and again, which are new each time: between two times the relay has forgotten them."""

    def __init__(
        self, world: World, server: Server, generator: LoadGenerator, http: httpx2.AsyncClient, count: int
    ) -> None:
        self._world = world
        self._server = server
        self._generator = generator
        self._http = http
        self._count = count

    async def full_speed(self) -> float:
        """Envelopes a second."""
        load = await self._send(None)
        return self._count / load.seconds

    async def soak(self, rate: float, minutes: float) -> list[Sample]:
        """At least three samples."""
        samples: list[Sample] = []
        began = time.perf_counter()
        while len(samples) < 3 or time.perf_counter() - began < 60 * minutes:
            load = await self._send(rate)
            minute = (time.perf_counter() - began) / 60
            memory, files = self._server.resident_bytes(), self._server.descriptors()
            samples.append(Sample(minute, memory, files, _p99(load.latencies)))
        return samples

    async def _send(self, rate: float | None) -> Load:
        load = await self._generator.run(clients=CLIENTS, start=0, count=self._count, expect=TAKEN, rate=rate)
        gone = sum([await self._emptied(person) for person in range(len(self._world.recipients))])
        if gone != self._count:
            raise RuntimeError(f"{gone} envelopes were picked up where {self._count} were taken")
        await asyncio.to_thread(self._forget)
        return load

    async def _emptied(self, person: int) -> int:
        """What one recipient picks up and acknowledges."""
        url, gone = f"{self._world.url}/api/v1/mailbox", 0
        token = await log_in(self._http, self._world.url, self._world.recipients[person])
        headers = {"authorization": f"Bearer {token}"}
        while True:
            page = await self._http.get(url, params={"limit": PAGE}, headers=headers)
            ids = [each["id"] for each in json.loads(page.content)["envelopes"]]
            if not ids:
                return gone
            answer = await self._http.post(f"{url}/acknowledgements", json={"ids": ids}, headers=headers)
            gone += answer.json()["removed"]

    def _forget(self) -> None:
        """The relay remembers for a month what it had; here that month is over."""
        with closing(sqlite3.connect(sqlite_path(self._world.settings.store.url), timeout=30)) as conn, conn:
            conn.execute("DELETE FROM seen")


def slope(samples: Sequence[Sample]) -> float:
    """Bytes a minute by which the memory grows, by least squares."""
    minutes = [each.minute for each in samples]
    return statistics.linear_regression(minutes, [each.resident for each in samples]).slope


def settled(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Those that count: at least two."""
    warm = [each for each in samples if each.minute >= WARMING * samples[-1].minute]
    return warm if len(warm) > 1 else samples[-2:]


def _figures(rate: float, samples: Sequence[Sample]) -> list[Figure]:
    row = f"soak, {samples[-1].minute:.3g} minutes"
    kept = settled(samples)
    third = max(1, len(kept) // 3)
    first, last = kept[:third], kept[-third:]
    # A sample may fall between the load generator's connections of before and those of now.
    files = statistics.median(each.descriptors for each in last) / statistics.median(each.descriptors for each in first)
    slower = statistics.median(each.p99 for each in last) / statistics.median(each.p99 for each in first)
    return [
        Figure(row, "submitted", "/s", (rate,), note="half of full speed"),
        Figure(row, "memory (RSS)", "MB", tuple(each.resident / 1e6 for each in kept)),
        Figure(row, "memory grows", "MB/min", (slope(kept) / 1e6,), SLOPE_MB),
        Figure(row, "open files", "", tuple(float(each.descriptors) for each in kept)),
        Figure(row, "files, last third", "x", (files,), NO_MORE_FILES, note="by the first third"),
        Figure(row, "latency p99", "ms", tuple(1e3 * each.p99 for each in kept)),
        Figure(row, "p99, last third", "x", (slower,), TIMES_P99, note="by the first third"),
    ]


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]
