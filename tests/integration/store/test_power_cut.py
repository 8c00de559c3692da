"""A power cut on SQLite: whatever tail of the write-ahead log was not yet flushed, the acknowledged part is there.

The log's length at each acknowledgement is what ``synchronous=FULL`` has flushed by then. Every state that a cut can
leave is that much of the log, plus any part, whole or garbled, of what followed. While the log is folded into the
database the log is whole, and of the database any pages are written and others not yet.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.ids import EnvelopeId
from gateway.store import Store
from gateway.store.mailbox import AcceptEnvelope, DamagedEnvelopes
from tests.integration.store.values import Sql, envelope, job, lane

ENVELOPES = 24
STATES = 300
"""For each of two seeds: 600."""
PAGE = 4096


@dataclass(frozen=True)
class Recording:
    """The files at the end, and for each acknowledgement how long the log was."""

    database: bytes
    log: bytes
    flushed: list[int]
    folded: bytes
    """The database with the log in it."""


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
        whole = log.read_bytes()
    return Recording(database, whole, flushed, fold(path.with_name("folded"), database, whole))


def fold(folder: Path, database: bytes, log: bytes) -> bytes:
    leave(folder, database, log)
    with closing(sqlite3.connect(folder / "gateway.db")) as opened:
        assert opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return (folder / "gateway.db").read_bytes()


def mixed(recording: Recording, chance: random.Random) -> bytes:
    """The database in the middle of being written: each page is the old or the new one."""
    old, new = recording.database, recording.folded
    length = chance.choice([len(old), len(new)])
    pages = range(0, length, PAGE)
    return b"".join((new if at >= len(old) or chance.random() < 0.5 else old)[at : at + PAGE] for at in pages)


def states(recording: Recording, chance: random.Random, number: int) -> Iterator[tuple[int, bytes, bytes]]:
    """How many envelopes were acknowledged, and the database and the log that a cut at that moment can leave."""
    for _ in range(number):
        if chance.random() < 0.2:
            yield ENVELOPES, mixed(recording, chance), recording.log
            continue
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
        yield acknowledged, recording.database, recording.log[:safe] + bytes(pending)


def leave(folder: Path, database: bytes, log: bytes) -> None:
    folder.mkdir()
    (folder / "gateway.db").write_bytes(database)
    (folder / "gateway.db-wal").write_bytes(log)


async def check(folder: Path, database: bytes, log: bytes) -> set[EnvelopeId]:
    """Open what the cut left; returns the envelopes that are there."""
    leave(folder, database, log)
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
async def test_no_state_lacks_what_was_acknowledged(
    sqlite_store_url: str, tmp_path: Path, seed: int, rounds: int
) -> None:
    """600 states (12 000 with ``--long``): 0 acknowledged envelopes lost, 0 databases damaged, each goes on."""
    recording = await record(sqlite_store_url, tmp_path / "gateway.db")
    assert recording.folded[:PAGE] != recording.database[:PAGE]
    found = states(recording, random.Random(seed), STATES * rounds)
    for number, (acknowledged, database, log) in enumerate(found):
        there = await check(tmp_path / str(number), database, log)
        assert {envelope(n).id for n in range(acknowledged)} <= there
