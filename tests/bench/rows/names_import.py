"""What it takes to bring many names in from a file: read, checked, written with their log on SQLite."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.offload import Offload
from gateway.store import Store
from gateway.store.migrate import upgrade
from gateway.subnames.bulk import Bulk, Import, Report
from gateway.subnames.names_file import FileFormat, FileRow, RowError, read_names
from tests.bench.results import Figure
from tests.bench.scale import Scale

PARENT: Final = EnsName("gw.eth")
SECONDS: Final = 10.0
HEADER: Final = "name,owner,expires,listed,addr,text:url,text:description,coin:0\n"


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """All or nothing, each round into a database of its own; then the same file once more, which changes nothing."""
    data = names_file(scale.names)
    wall, cpu, again = [], [], []
    for number in range(scale.rounds):
        url = f"sqlite:///{folder / f'{number}.db'}"
        await asyncio.to_thread(upgrade, url)
        async with await Store.open(url) as store:
            started, used = time.perf_counter(), time.process_time()
            report = await _import(store, data)
            wall.append(time.perf_counter() - started)
            cpu.append(time.process_time() - used)
            assert report.new == scale.names
            started = time.perf_counter()
            report = await _import(store, data)
            again.append(time.perf_counter() - started)
            assert report.same == scale.names
    row = f"import, {scale.names:,} names"
    return [
        Figure(row, "file to names", "s", tuple(wall), SECONDS),
        Figure(row, "CPU", "s", tuple(cpu)),
        Figure(row, "the same file again", "s", tuple(again)),
    ]


def names_file(count: int) -> bytes:
    """CSV with four records for each name."""
    rows = (
        f"person-{n}.gw.eth,0x{n:040x},2030-01-01T00:00:00Z,true,0x{n:040x},https://p{n}.example,"
        f"Person number {n},0x0014{n:040x}\n"
        for n in range(count)
    )
    return (HEADER + "".join(rows)).encode()


async def _import(store: Store, data: bytes) -> Report:
    bulk = Bulk(
        store=store,
        clock=now_ms,
        offload=Offload(),
        check=lambda _: None,
        skeleton_of=lambda name: name,
        rest_ms=0,
    )

    def source() -> Iterator[FileRow | RowError]:
        return read_names(io.BytesIO(data), FileFormat.CSV, PARENT, now_ms())

    return await bulk.apply(source, Import("operator"))
