"""A recipient's side: picking up what waits, and acknowledging it."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx2

from gateway.store.engine import sqlite_path
from tests.bench.filling import envelopes, fill_mailbox
from tests.bench.load import write_requests
from tests.bench.machine import SERVER_CORE
from tests.bench.people import Person, http_request, log_in, submissions
from tests.bench.processes import LineProcess, line_process, load_generator, serving
from tests.bench.results import Figure, ratios
from tests.bench.rows.submit import TAKEN
from tests.bench.scale import Scale
from tests.bench.world import World, founded

PICK_UP_MS: Final = 60.0
"""CPU of one pick-up of 1 000 messages."""
ACKNOWLEDGE_MS: Final = 100.0
"""From request to answer."""
TIMES_READING: Final = 3.0
"""CPU by that of reading the same rows."""


async def measure_pick_up(folder: Path, scale: Scale) -> list[Figure]:
    """GET incoming with everything that was submitted before, again and again."""
    async with founded(folder, senders=scale.people, recipients=1) as world:
        (recipient,) = world.recipients
        sent, asked = folder / "requests", folder / "pick-up"
        write_requests(submissions(world.senders, world.recipients, world.service, scale.waiting, world.host), sent)
        async with (
            serving(world.config, world.url) as server,
            load_generator(server, "127.0.0.1", world.port) as generator,
            httpx2.AsyncClient(trust_env=False, timeout=60) as http,
            _floor(world, recipient) as floor,
        ):
            await generator.prepare(sent)
            await generator.run(clients=8, start=0, count=scale.waiting, expect=TAKEN)
            token = await log_in(http, world.url, recipient)
            request = http_request("GET", f"/ds/delivery/messages/incoming/{recipient.name}", world.host, token=token)
            write_requests([request] * scale.pick_ups, asked)
            await generator.prepare(asked)
            loads, floors = [], []
            for _ in range(scale.rounds + 1):
                loads.append(await generator.run(clients=1, start=0, count=scale.pick_ups, expect=""))
                read = [await floor.ask(json.dumps({"limit": scale.waiting})) for _ in range(scale.pick_ups)]
                floors.append(sum(read) / scale.pick_ups)
    del loads[0], floors[0]  # the first warms up
    row = f"pick-up of {scale.waiting:_}".replace("_", " ")
    cpu = Figure(row, "CPU", "ms", tuple(1e3 * each.cpu_seconds / scale.pick_ups for each in loads), PICK_UP_MS)
    return [
        cpu,
        *_by_floor(cpu, floors),
        Figure(row, "latency", "ms", tuple(1e3 * sum(each.latencies) / scale.pick_ups for each in loads)),
        Figure(row, "body", "MB", tuple(each.bytes / scale.pick_ups / 1e6 for each in loads)),
    ]


async def measure_acknowledge(folder: Path, scale: Scale) -> list[Figure]:
    """The same in mailboxes of several sizes, each refilled after every round.

    What is acknowledged is among the oldest, because a pick-up hands out no more of a mailbox at once.
    """
    async with founded(folder, senders=scale.people, recipients=len(scale.mailboxes)) as world:
        figures = []
        for recipient, size in zip(world.recipients, scale.mailboxes, strict=True):
            figures += await _acknowledge(world, recipient, size, scale)
    return figures


async def _acknowledge(world: World, recipient: Person, size: int, scale: Scale) -> list[Figure]:
    loads, floors = [], []
    chance = random.Random(size)  # which ones, not a secret
    coming = envelopes(world, recipient)
    waiting = await fill_mailbox(world, coming, size)
    asked = world.config.parent / "acknowledge"
    path = f"/ds/delivery/messages/{recipient.name}/syncAcknowledgements"
    async with (
        serving(world.config, world.url) as server,
        load_generator(server, "127.0.0.1", world.port) as generator,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
        _floor(world, recipient) as floor,
    ):
        token = await log_in(http, world.url, recipient)
        for _ in range(scale.rounds + 1):
            gone = chance.sample(waiting[: scale.page], scale.acknowledged)
            entries = [{"contactAddress": sender, "messageHash": digest} for sender, digest in gone]
            body = json.dumps({"acknowledgements": entries}).encode()
            write_requests([http_request("POST", path, world.host, body, token)], asked)
            await generator.prepare(asked)
            floors.append(await floor.ask(json.dumps({"hashes": [digest for _, digest in gone]})))
            loads.append(await generator.run(clients=1, start=0, count=1, expect=""))
            acknowledged = set(gone)
            waiting = [pair for pair in waiting if pair not in acknowledged]
            waiting += await fill_mailbox(world, coming, scale.acknowledged)
    number = _count(world, recipient)
    if number != size:
        raise RuntimeError(f"{number} messages are left where {size} should be")
    del loads[0], floors[0]  # the first warms up
    row = f"acknowledge {scale.acknowledged} of {size:_}".replace("_", " ")
    cpu = Figure(row, "CPU", "ms", tuple(1e3 * each.cpu_seconds for each in loads))
    latency = Figure(row, "latency", "ms", tuple(1e3 * each.seconds for each in loads), ACKNOWLEDGE_MS)
    return [latency, cpu, *_by_floor(cpu, floors)]


@asynccontextmanager
async def _floor(world: World, recipient: Person) -> AsyncIterator[LineProcess]:
    async with line_process("tests.bench.reading", SERVER_CORE) as process:
        given = {"file": sqlite_path(world.settings.store.url), "recipient": recipient.address}
        await process.say(json.dumps(given))
        yield process


def _by_floor(cpu: Figure, floors: list[float]) -> list[Figure]:
    floor = Figure(cpu.row, "the same rows, only read", "ms", tuple(1e3 * each for each in floors))
    return [floor, Figure(cpu.row, "CPU by reading", "x", ratios(cpu, floor), TIMES_READING)]


def _count(world: World, recipient: Person) -> int:
    with sqlite3.connect(sqlite_path(world.settings.store.url)) as conn:
        (number,) = conn.execute("SELECT count(*) FROM envelopes WHERE recipient = ?", (recipient.address,)).fetchone()
    conn.close()
    return int(number)
