"""The processes of a run: `serve`, the load generator and the floor, each pinned to a core."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.bench.machine import LOAD_CORE, SERVER_CORE, cpu_seconds, descriptors, pin, resident_bytes

START_SECONDS = 60.0
UNLIMITED = {"DM3_GATEWAY__RELAY__CALLS_PER_MINUTE": "100000000"}
"""All clients have one address here; calls are counted as in life, but never too many."""
LINE_BYTES = 1 << 24
"""Of one answer: latencies of many requests."""


@dataclass(frozen=True, slots=True)
class Server:
    """`serve`, answering."""

    pid: int
    seconds_to_start: float
    """From the start of the process until /healthz answered."""

    def cpu_seconds(self) -> float:
        """Since its start."""
        return cpu_seconds(self.pid)

    def resident_bytes(self) -> int:
        """Now."""
        return resident_bytes(self.pid)

    def descriptors(self) -> int:
        """Open files and sockets now."""
        return descriptors(self.pid)


@asynccontextmanager
async def serving(
    config: Path, url: str, *, core: int = SERVER_CORE, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """`python -m gateway serve` from its first answer on; ended with SIGTERM. RuntimeError when it dies.

    ``environment`` has settings that are to differ from the file's.
    """
    log = config.parent / "serve.log"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DM3_GATEWAY")}
    started = time.perf_counter()
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve", "--config", str(config)),
            stdout=file,
            stderr=file,
            env=inherited | UNLIMITED | dict(environment or {}),
        )
    pin(process.pid, core)
    try:
        await _until_healthy(process, url, log)
        yield Server(process.pid, time.perf_counter() - started)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _until_healthy(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(START_SECONDS):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"serve ended with {process.returncode}: {_end_of(log)}")
            with suppress(httpx2.HTTPError):
                if (await http.get(f"{url}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.01)


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


class LineProcess:
    """A module of ours in a process of its own that answers lines with lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def say(self, line: str) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self) -> Any:
        """The next line, as JSON; RuntimeError when the process has ended."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended with {await self._process.wait()}")
        return json.loads(line)

    async def ask(self, line: str) -> Any:
        """Send a line and wait for the answer."""
        await self.say(line)
        return await self.hear()


@asynccontextmanager
async def line_process(module: str, core: int, arguments: Sequence[str] = ()) -> AsyncIterator[LineProcess]:
    """Run ``python -m module`` on a core; it ends with its standard input."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    pin(process.pid, core)
    try:
        yield LineProcess(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the load generator gave, and what it cost the server."""

    seconds: float
    latencies: list[float]
    """Seconds of each request."""
    cpu_seconds: float
    """Of the server, from before the first request to after the last answer."""
    bytes: int
    """Of all bodies that came back."""


class LoadGenerator:
    """The load generator in its process; see tests/bench/load.py."""

    def __init__(self, process: LineProcess, server: Server) -> None:
        self._process = process
        self._server = server

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    async def prepare(self, path: Path) -> int:
        """Read a file of requests; gives their number."""
        answer = await self._process.ask(json.dumps({"load": str(path)}))
        return int(answer["requests"])

    async def run(self, *, clients: int, start: int, count: int, expect: str, rate: float | None = None) -> Load:
        """Send ``count`` of the requests, so many a second if ``rate`` says so; RuntimeError when one was refused."""
        command: dict[str, Any] = {"clients": clients, "start": start, "count": count, "expect": expect}
        if rate is not None:
            command["rate"] = rate
        await self._process.ask(json.dumps(command))
        before = self._server.cpu_seconds()
        answer = await self._process.ask("")
        spent = self._server.cpu_seconds() - before
        if answer["refused"]:
            raise RuntimeError(f"the server refused: {answer['refused'][0]}")
        return Load(answer["seconds"], answer["latencies"], spent, answer["bytes"])


@asynccontextmanager
async def load_generator(server: Server, host: str, port: int) -> AsyncIterator[LoadGenerator]:
    """A load generator against a server."""
    async with line_process("tests.bench.load", LOAD_CORE, (host, str(port))) as process:
        yield LoadGenerator(process, server)
