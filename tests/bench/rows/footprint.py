"""What a node costs before anybody uses it: its start and its memory, alone and with every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.bench import mail, matrix
from tests.bench.processes import serving
from tests.bench.results import Figure
from tests.bench.scale import Scale
from tests.bench.world import HOST, founded

RESIDENT_MB: Final = 120.0
ALL_RESIDENT_MB: Final = 160.0
ALL_READY_SECONDS: Final = 2.5
READY_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 1.0
NOWHERE: Final = 1
"""A port at which nobody listens: the networks of the adapters are away, and starting has to bear that."""


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Start a node several times; its memory is read after it has first asked the chain."""
    alone, all_of_them = folder / "alone", folder / "all"
    for each in (alone, all_of_them):
        each.mkdir()
    figures = await _measured(alone, "serve, idle", scale, {}, (RESIDENT_MB, None))
    targets = (ALL_RESIDENT_MB, ALL_READY_SECONDS)
    return figures + await _measured(all_of_them, "serve, all adapters", scale, tables(folder), targets)


async def _measured(
    folder: Path, row: str, scale: Scale, adapters: Mapping[str, Mapping[str, Any]], targets: tuple[float, float | None]
) -> list[Figure]:
    starts, ready, cpu, resident = [], [], [], []
    async with founded(folder, senders=0, recipients=0, adapters=adapters) as world:
        for _ in range(scale.starts):
            async with serving(world.config, world.url) as server:
                starts.append(server.seconds_to_start)
                ready.append(server.seconds_to_start + await _until_ready(world.url))
                cpu.append(server.cpu_seconds())
                await asyncio.sleep(SETTLE_SECONDS)
                resident.append(server.resident_bytes())
    return [
        Figure(row, "memory (RSS)", "MB", tuple(each / 1e6 for each in resident), targets[0]),
        Figure(row, "start to /healthz", "s", tuple(starts)),
        Figure(row, "start to /readyz", "s", tuple(ready), targets[1]),
        Figure(row, "CPU of the start", "s", tuple(cpu)),
    ]


def tables(folder: Path) -> dict[str, dict[str, Any]]:
    """A table for each adapter; secrets are in files of `folder`."""
    (folder / "xmpp.secret").write_text("secret", encoding="ascii")
    homeserver, _ = matrix.adapter_table(folder, f"http://{HOST}:{NOWHERE}")
    return {
        "email": mail.adapter_table(mail.free_port(HOST), f"{HOST}:{NOWHERE}"),
        "matrix": homeserver,
        "xmpp": {
            "component": "dm3.localhost",
            "host": HOST,
            "port": NOWHERE,
            "secret_file": str(folder / "xmpp.secret"),
        },
    }


async def _until_ready(url: str) -> float:
    """Seconds from now."""
    clock = asyncio.get_running_loop().time
    begin = clock()
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http, asyncio.timeout(READY_SECONDS):
        while (await http.get(f"{url}/readyz")).status_code != 200:  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.05)
    return clock() - begin
