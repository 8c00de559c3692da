"""A recipient's side: picking up what waits, and acknowledging it."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx2

from gateway.ids import EnvelopeId
from gateway.store import Store
from gateway.store.engine import sqlite_path
from gateway.store.mailbox import AcceptEnvelope, StoredEnvelope
from tests.bench.load import write_requests
from tests.bench.people import Person, http_request, log_in, submissions
from tests.bench.processes import load_generator, serving
from tests.bench.results import Figure
from tests.bench.rows.submit import TAKEN
from tests.bench.scale import Scale
from tests.bench.world import World, founded

PICK_UP_MS: Final = 60.0
"""CPU of one pick-up of 1 000 messages."""
ACKNOWLEDGE_MS: Final = 100.0
"""From request to answer."""
BODY_BYTES: Final = 6_200
"""Of an envelope as it is kept: that of the pick-up row, with its postmark."""
AT_ONCE: Final = 500
YEAR_MS: Final = 365 * 24 * 3600 * 1000


async def measure_pick_up(folder: Path, scale: Scale) -> list[Figure]:
    """GET incoming with everything that was submitted before, again and again."""
    async with founded(folder, senders=scale.people, recipients=1) as world:
        (recipient,) = world.recipients
        sent, asked = folder / "requests", folder / "pick-up"
        write_requests(submissions(world.senders, world.recipients, world.service, scale.waiting, world.host), sent)
        async with (
            serving(world.config, world.url) as server,
            load_generator(server, "127.0.0.1", world.port) as generator,
            httpx2.AsyncClient(trust_env=False) as http,
        ):
            await generator.prepare(sent)
            await generator.run(clients=8, start=0, count=scale.waiting, expect=TAKEN)
            token = await log_in(http, world.url, recipient)
            request = http_request("GET", f"/ds/delivery/messages/incoming/{recipient.name}", world.host, token=token)
            write_requests([request] * scale.pick_ups, asked)
            await generator.prepare(asked)
            await generator.run(clients=1, start=0, count=scale.pick_ups, expect="")
            loads = [
                await generator.run(clients=1, start=0, count=scale.pick_ups, expect="") for _ in range(scale.rounds)
            ]
    row = f"pick-up of {scale.waiting:_}".replace("_", " ")
    return [
        Figure(row, "CPU", "ms", tuple(1e3 * each.cpu_seconds / scale.pick_ups for each in loads), PICK_UP_MS),
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
    chance = random.Random(size)  # which ones, not a secret
    coming = _envelopes(world, recipient)
    waiting = await _fill(world, coming, size)
    asked = world.config.parent / "acknowledge"
    path = f"/ds/delivery/messages/{recipient.name}/syncAcknowledgements"
    loads = []
    async with (
        serving(world.config, world.url) as server,
        load_generator(server, "127.0.0.1", world.port) as generator,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        token = await log_in(http, world.url, recipient)
        for _ in range(scale.rounds + 1):
            gone = chance.sample(waiting[: scale.page], scale.acknowledged)
            entries = [{"contactAddress": sender, "messageHash": digest} for sender, digest in gone]
            body = json.dumps({"acknowledgements": entries}).encode()
            write_requests([http_request("POST", path, world.host, body, token)], asked)
            await generator.prepare(asked)
            loads.append(await generator.run(clients=1, start=0, count=1, expect=""))
            acknowledged = set(gone)
            waiting = [pair for pair in waiting if pair not in acknowledged]
            waiting += await _fill(world, coming, scale.acknowledged)
    number = _count(world, recipient)
    if number != size:
        raise RuntimeError(f"{number} messages are left where {size} should be")
    del loads[0]  # the first warms up
    row = f"acknowledge {scale.acknowledged} of {size:_}".replace("_", " ")
    return [
        Figure(row, "latency", "ms", tuple(1e3 * each.seconds for each in loads), ACKNOWLEDGE_MS),
        Figure(row, "CPU", "ms", tuple(1e3 * each.cpu_seconds for each in loads)),
    ]


def _envelopes(world: World, recipient: Person) -> Iterator[StoredEnvelope]:
    """Envelopes as the relay keeps them, without end; their bodies are of the right size and say nothing."""
    filling = json.dumps("0123456789abcdef" * (BODY_BYTES // 16))
    number = 0
    while True:
        digest = hashlib.sha256(f"{recipient.name} {number}".encode()).hexdigest()
        yield StoredEnvelope(
            id=EnvelopeId(digest),
            recipient=recipient.address,
            recipient_name=recipient.name,
            sender=world.senders[number % len(world.senders)].name,
            verified=True,
            message_hash=f"0x{digest}",
            encrypted_hash=f"0x{digest}",
            body=f'{{"message":{filling},"metadata":{{"messageHash":"0x{digest}"}}}}'.encode(),
            received_at=number,
            expires_at=100 * YEAR_MS,
            holder=world.senders[number % len(world.senders)].address,
        )
        number += 1


async def _fill(world: World, coming: Iterator[StoredEnvelope], number: int) -> list[tuple[str, str]]:
    """Write envelopes past the server, which need not be running; gives sender and hash of each.

    The log is folded into the file, as it is in time.
    """
    written: list[tuple[str, str]] = []
    async with await Store.open(world.settings.store.url) as store:
        while len(written) < number:
            some = [next(coming) for _ in range(min(AT_ONCE, number - len(written)))]
            await store.commit_all(*map(AcceptEnvelope, some))
            written += [(each.sender, each.message_hash) for each in some]
    with sqlite3.connect(sqlite_path(world.settings.store.url)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    return written


def _count(world: World, recipient: Person) -> int:
    with sqlite3.connect(sqlite_path(world.settings.store.url)) as conn:
        (number,) = conn.execute("SELECT count(*) FROM envelopes WHERE recipient = ?", (recipient.address,)).fetchone()
    conn.close()
    return int(number)
