"""What a mail costs until it is authenticated, read and on disk; beside Postfix, which queues the same mails."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench import mail
from tests.bench.lanes import Lanes
from tests.bench.machine import LOAD_CORE, family_cpu_seconds, family_own_bytes
from tests.bench.mail import Kind, Post, Postfix
from tests.bench.processes import LineProcess, Load, Server, line_process, serving
from tests.bench.results import Figure, ratios
from tests.bench.scale import Scale
from tests.bench.world import HOST, World, founded
from tests.integration.email.peers import Zone, dns_server
from tests.support.mail.postfix import MISSING, find_postfix

PEOPLE: Final = 10
"""Who write, and as many names to which each of them writes: a hundred conversations."""
SMALL_CONNECTIONS: Final = 20
LARGE_CONNECTIONS: Final = 5
LARGE: Final = 5_000_000
HUGE: Final = 25_000_000
TIMES_POSTFIX: Final = 0.6
TIMES_POSTFIX_LARGE: Final = 1.0
STALL_MS: Final = 50.0
TIMES_ITS_SIZE: Final = 1.5
PAUSE: Final = 0.002
"""Seconds between two questions to the event loop."""
WARMING: Final = 20
"""Small mails, until the gateway has its worker and has loaded what it needs."""
SAMPLE: Final = 0.004
"""Seconds between two looks at the memory."""
NEEDS_ROOT: Final = "Postfix is started by root alone; the row is left out"
BOMBS: Final = "bombs"


@dataclass(slots=True)
class Rounds:
    """What each round gave of one kind of mail."""

    ours: list[Load] = field(default_factory=list)
    theirs: list[Load] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Kinds:
    """One row of the table."""

    row: str
    kind: Kind
    connections: int
    target: float


KINDS: Final = (
    Kinds("mail, 2 KB of text", mail.text_mail(), SMALL_CONNECTIONS, TIMES_POSTFIX),
    Kinds("mail, 2 KB, text and HTML", mail.formatted_mail(), SMALL_CONNECTIONS, TIMES_POSTFIX),
    Kinds("mail, 5 MB", mail.large_mail(LARGE), LARGE_CONNECTIONS, TIMES_POSTFIX_LARGE),
)


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Gateway and Postfix take turns on one core with the same mails. Without Postfix or without root no figures."""
    if os.geteuid() != 0 or not find_postfix():
        print(NEEDS_ROOT if find_postfix() else MISSING, file=sys.stderr)
        return []
    number = min(PEOPLE, scale.people)
    zone = Zone()
    port = mail.free_port(HOST)
    async with (
        dns_server(zone) as names,
        founded(folder, senders=0, recipients=number, adapters={"email": mail.adapter_table(port, names)}) as world,
        Postfix() as postfix,
        serving(world.config, world.url) as server,
        line_process("tests.bench.smtp_load", LOAD_CORE) as generator,
    ):
        post = await asyncio.to_thread(Post, number, [each.name for each in world.recipients])
        zone.records = post.records
        lanes = Lanes(world, mail.lanes(post.authors, [each.name for each in world.recipients]))
        lanes.hold()
        street = Street(generator, lanes, folder, post, server, port, postfix)
        # First: what the other mails leave behind would hide what this takes.
        weighed = await _weighed(street, scale)
        figures = []
        for each in KINDS:
            figures += await _compared(street, each, scale)
        figures += await _bombed(street, world, scale) + weighed
        lanes.close()
    return figures


async def _compared(street: Street, kinds: Kinds, scale: Scale) -> list[Figure]:
    count = scale.large_mails if kinds.target == TIMES_POSTFIX_LARGE else scale.mails
    await street.prepare([kinds.kind], (scale.rounds + 1) * count, kinds.row)
    rounds = Rounds()
    for index in range(scale.rounds + 1):
        ours = await street.to_us(kinds.connections, index * count, count)
        theirs = await street.to_postfix(kinds.connections, index * count, count)
        if index:  # the first one warms both up
            rounds.ours.append(ours)
            rounds.theirs.append(theirs)
    return _figures(kinds, rounds)


async def _bombed(street: Street, world: World, scale: Scale) -> list[Figure]:
    """How long the event loop lets others wait while bombs come in, and while nothing does."""
    kinds = mail.bombs()
    count = scale.bombs * len(kinds)
    await street.prepare(kinds, scale.rounds * count, BOMBS)
    calm, bombed = [], []
    for index in range(scale.rounds):
        async with _waits(world.port) as waits:
            await asyncio.sleep(0.5)
        calm.append(waits)
        async with _waits(world.port) as waits:
            await street.to_us(len(kinds) // 2, index * count, count, refusals=True)
        bombed.append(waits)
    row = "mail, header and MIME bombs"
    return [
        Figure(row, "wait for the loop, p99", "ms", tuple(map(_p99, bombed)), STALL_MS),
        Figure(row, "longest wait", "ms", tuple(1e3 * max(each) for each in bombed)),
        Figure(row, "without them, p99", "ms", tuple(map(_p99, calm))),
    ]


async def _weighed(street: Street, scale: Scale) -> list[Figure]:
    """How much memory a large mail takes at its worst moment, beyond what small ones left behind."""
    await street.prepare([mail.formatted_mail()], WARMING, "warming")
    await street.to_us(1, 0, WARMING)
    before = family_own_bytes(street.server.pid)
    await street.prepare([mail.large_mail(HUGE)], scale.rounds, "huge")
    taken = []
    for index in range(scale.rounds):
        with street.memory() as peak:
            await street.to_us(1, index, 1)
        taken.append((peak[0] - before) / HUGE)
    return [Figure("mail, 25 MB", "memory by its size", "x", tuple(taken), TIMES_ITS_SIZE, note="with its worker")]


@dataclass(slots=True)
class Street:
    """Where mail goes."""

    generator: LineProcess
    lanes: Lanes
    folder: Path
    post: Post
    server: Server
    port: int
    postfix: Postfix

    async def prepare(self, kinds: Sequence[Kind], number: int, label: str) -> None:
        """Sign mails, and let the generator read them."""
        label = "".join(each for each in label if each.isalnum())
        letters, rest = await asyncio.to_thread(self.post.write, kinds, number, self.folder, label)
        await self.generator.ask(json.dumps({"letters": str(letters), "rest": str(rest)}))
        letters.unlink()

    async def to_us(self, connections: int, start: int, count: int, *, refusals: bool = False) -> Load:
        """Send mails to the gateway: what has its 250 is on disk, else RuntimeError."""
        load, refused = await self._send(HOST, self.port, self.server.pid, connections, start, count)
        if refused and not refusals:
            raise RuntimeError(f"refused: {refused[0]}")
        if (found := self.lanes.waiting()) != count - len(refused):
            raise RuntimeError(f"{found} mails wait where {count - len(refused)} were taken")
        self.lanes.drop()
        return load

    async def to_postfix(self, connections: int, start: int, count: int) -> Load:
        """The same mails to Postfix; RuntimeError when it refused one."""
        postfix = self.postfix
        load, refused = await self._send(postfix.address, postfix.port, postfix.pid, connections, start, count)
        if refused:
            raise RuntimeError(f"Postfix refused: {refused[0]}")
        await postfix.settled()
        return load

    async def _send(
        self, host: str, port: int, pid: int, connections: int, start: int, count: int
    ) -> tuple[Load, list[str]]:
        command = {"host": host, "port": port, "connections": min(connections, count), "start": start, "count": count}
        await self.generator.ask(json.dumps(command))
        before = family_cpu_seconds(pid)
        answer = await self.generator.ask("")
        spent = family_cpu_seconds(pid) - before
        return Load(answer["seconds"], answer["latencies"], spent, 0), answer["refused"]

    @contextmanager
    def memory(self) -> Iterator[list[int]]:
        """How much the gateway had at most; looked at from a thread."""
        peak, over = [0], threading.Event()

        def look() -> None:
            while not over.wait(SAMPLE):
                peak[0] = max(peak[0], family_own_bytes(self.server.pid))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield peak
        finally:
            over.set()
            watcher.join()


@asynccontextmanager
async def _waits(port: int) -> AsyncIterator[list[float]]:
    """How long /healthz took each time, over one connection of its own."""
    waits: list[float] = []
    reader, writer = await asyncio.open_connection(HOST, port)

    async def ask() -> None:
        while True:
            began = time.perf_counter()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: %s:%d\r\n\r\n" % (HOST.encode(), port))
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(size.partition(b":")[2]))
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE)

    asking = asyncio.create_task(ask())
    try:
        yield waits
    finally:
        asking.cancel()
        await asyncio.wait([asking])
        writer.close()


def _figures(kinds: Kinds, rounds: Rounds) -> list[Figure]:
    row = kinds.row
    ours = Figure(row, "taken", "/s", tuple(map(_rate, rounds.ours)))
    theirs = Figure(row, "Postfix, in turn", "/s", tuple(map(_rate, rounds.theirs)))
    return [
        ours,
        theirs,
        Figure(row, "taken by Postfix", "x", ratios(ours, theirs), kinds.target, at_least=True),
        Figure(row, "CPU per mail", "ms", tuple(map(_cpu, rounds.ours))),
        Figure(row, "Postfix, CPU", "ms", tuple(map(_cpu, rounds.theirs))),
        Figure(row, "latency p50", "ms", tuple(1e3 * statistics.median(each.latencies) for each in rounds.ours)),
    ]


def _rate(load: Load) -> float:
    return len(load.latencies) / load.seconds


def _cpu(load: Load) -> float:
    return 1e3 * load.cpu_seconds / len(load.latencies)


def _p99(waits: Sequence[float]) -> float:
    return 1e3 * statistics.quantiles(waits, n=100, method="inclusive")[98]
