"""What a node costs before anybody uses it: its start and its memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import httpx2

from tests.bench.processes import Server, serving
from tests.bench.results import Figure
from tests.bench.scale import Scale
from tests.bench.world import founded

RESIDENT_MB: Final = 120.0
READY_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 1.0


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Start a node without adapters several times; its memory is read after it has first asked the chain."""
    starts, cpu, resident = [], [], []
    async with founded(folder, senders=0, recipients=0) as world:
        for _ in range(scale.starts):
            async with serving(world.config, world.url) as server:
                starts.append(server.seconds_to_start)
                cpu.append(server.cpu_seconds())
                resident.append(await _resident_when_ready(server, world.url))
    row = "serve, idle"
    return [
        Figure(row, "memory (RSS)", "MB", tuple(each / 1e6 for each in resident), RESIDENT_MB),
        Figure(row, "start to /healthz", "s", tuple(starts)),
        Figure(row, "CPU of the start", "s", tuple(cpu)),
    ]


async def _resident_when_ready(server: Server, url: str) -> int:
    async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(READY_SECONDS):
        while (await http.get(f"{url}/readyz")).status_code != 200:  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.2)
    await asyncio.sleep(SETTLE_SECONDS)
    return server.resident_bytes()
