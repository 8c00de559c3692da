"""A power cut on SQLite: whatever tail of the write-ahead log was not yet flushed, the acknowledged part is there.

The log's length at each acknowledgement is what ``synchronous=FULL`` has flushed by then. Every state that a cut can
leave is that much of the log, plus any part, whole or garbled, of what followed.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.ids import EnvelopeId
from gateway.store import Store
from gateway.store.mailbox import AcceptEnvelope, DamagedEnvelopes
from tests.integration.store.values import Sql, envelope, job, lane

ENVELOPES = 24
STATES = 60


@dataclass(frozen=True)
class Recording:
    """The files at the end, and for each acknowledgement how long the log was."""

    database: bytes
    log: bytes
    flushed: list[int]


async def record(url: str, path: Path) -> Recording:
    log = path.with_name(path.name + "-wal")
    async with await Store.open(url) as store:
        database = path.read_bytes()  # noqa: ASYNC240 - nothing else runs
        flushed = []
        for number in range(ENVELOPES):
            sent = envelope(number, body=os.urandom(3000))
            await store.commit(AcceptEnvelope(sent, job(number, lane=lane(number % 3), envelope=sent.id)))
            flushed.append(log.stat().st_size)
        # Were the log folded into the database meanwhile, its length would say nothing.
        assert path.read_bytes() == database  # noqa: ASYNC240
        return Recording(database, log.read_bytes(), flushed)


def states(recording: Recording, chance: random.Random) -> Iterator[tuple[int, bytes]]:
    """How many envelopes were acknowledged, and a log that a cut at that moment can leave."""
    for _ in range(STATES):
        acknowledged = chance.randrange(ENVELOPES + 1)
        safe = recording.flushed[acknowledged - 1] if acknowledged else 0
        pending = bytearray(recording.log[safe : safe + chance.randrange(20_000)])
        kind = chance.choice(["cut", "zeros", "garbled", "reordered"])
        if kind == "zeros":
            start = chance.randrange(len(pending) + 1)
            pending[start:] = bytes(len(pending) - start)
        elif kind == "garbled" and pending:
            pending[chance.randrange(len(pending))] ^= 1 << chance.randrange(8)
        elif kind == "reordered":
            # A later sector reached the disk, an earlier one did not.
            hole = min(4096, len(pending))
            pending[:hole] = bytes(hole)
        yield acknowledged, recording.log[:safe] + bytes(pending)


def leave(folder: Path, database: bytes, log: bytes) -> None:
    folder.mkdir()
    (folder / "gateway.db").write_bytes(database)
    (folder / "gateway.db-wal").write_bytes(log)


async def check(folder: Path, recording: Recording, log: bytes) -> set[EnvelopeId]:
    """Open what the cut left; returns the envelopes that are there."""
    leave(folder, recording.database, log)
    async with await Store.open(f"sqlite:///{folder / 'gateway.db'}") as store:
        assert await store.read(Sql("PRAGMA integrity_check")) == [("ok",)]
        damaged, _ = await store.read(DamagedEnvelopes(0, 1000))
        assert damaged == []
        orphans = Sql("SELECT count(*) FROM envelopes WHERE id NOT IN (SELECT envelope FROM jobs)")
        assert await store.read(orphans) == [(0,)]
        found = {id_ for (id_,) in await store.read(Sql("SELECT id FROM envelopes"))}
        assert await store.commit(AcceptEnvelope(envelope("after the cut")))
    shutil.rmtree(folder)
    return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_state_lacks_what_was_acknowledged(sqlite_store_url: str, tmp_path: Path, seed: int) -> None:
    recording = await record(sqlite_store_url, tmp_path / "gateway.db")
    for number, (acknowledged, log) in enumerate(states(recording, random.Random(seed))):
        found = await check(tmp_path / str(number), recording, log)
        assert {envelope(n).id for n in range(acknowledged)} <= found
