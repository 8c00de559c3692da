"""What was acknowledged is there: after kill -9 of the process, of the database server, and on a full disk."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import Unavailable
from gateway.ids import EnvelopeId
from gateway.store import Store, migrate, now_ms
from gateway.store.aliases import PutAlias
from gateway.store.lanes import Enqueue
from gateway.store.mailbox import AcceptEnvelope, DamagedEnvelopes
from tests.integration.store.values import EMAIL, Sql, envelope, job, lane
from tests.support.postgres import PostgresServer, start_postgres
from tests.support.require import require

ROOT = Path(__file__).parents[3]
KILLS = 3
ACKNOWLEDGED_BEFORE_KILL = 300
DEADLINE_S = 60.0


def write_and_kill(url: str, first: int) -> list[int]:
    """Start a writer, kill it at a random moment under load, return the numbers it acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.store.writer", url, str(first)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        wanted = ACKNOWLEDGED_BEFORE_KILL + random.randrange(200)
        received = b""
        deadline = time.monotonic() + DEADLINE_S
        while received.count(b"\n") < wanted and time.monotonic() < deadline:
            data = os.read(pipe, 65536)
            if not data:
                break
            received += data
        process.kill()
        while data := os.read(pipe, 65536):
            received += data
    assert received.count(b"\n") >= wanted
    complete, _, _ = received.rpartition(b"\n")
    return [int(line) for line in complete.split()]


async def check_integrity(store: Store) -> None:
    """Every envelope has its job, every lane with a ready job is due, no body is damaged, the file is sound."""
    assert await store.read(
        Sql("SELECT count(*) FROM envelopes WHERE id NOT IN (SELECT envelope FROM jobs WHERE envelope IS NOT NULL)")
    ) == [(0,)]
    assert await store.read(
        Sql("SELECT count(*) FROM lanes WHERE (due IS NULL) = EXISTS (SELECT 1 FROM jobs WHERE lane = name)")
    ) == [(0,)]
    damaged, _ = await store.read(DamagedEnvelopes(0, 100_000))
    assert damaged == []
    if store.dialect == "sqlite":
        assert await store.read(Sql("PRAGMA integrity_check")) == [("ok",)]
        assert await store.read(Sql("PRAGMA foreign_key_check")) == []


async def ids_stored(store: Store) -> set[EnvelopeId]:
    return {id_ for (id_,) in await store.read(Sql("SELECT id FROM envelopes"))}


async def test_kill_of_the_process_loses_nothing_acknowledged(store_url: str) -> None:
    acknowledged: list[int] = []
    for kill in range(KILLS):
        acknowledged += await asyncio.to_thread(write_and_kill, store_url, kill * 1_000_000)
        async with await Store.open(store_url) as store:
            lost = {envelope(number).id for number in acknowledged} - await ids_stored(store)
            assert lost == set()
            await check_integrity(store)
    assert len(acknowledged) >= KILLS * ACKNOWLEDGED_BEFORE_KILL


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that may be killed."""
    server = start_postgres()
    yield server
    server.remove()


async def test_kill_of_the_database_server_loses_nothing_acknowledged(own_server: PostgresServer) -> None:
    """The store answers Unavailable meanwhile, never success, and goes on by itself when the server is back."""
    url = own_server.url(own_server.fresh_database())
    await asyncio.to_thread(migrate.upgrade, url)
    acknowledged: set[EnvelopeId] = set()
    progress: asyncio.Queue[None] = asyncio.Queue()
    failed = 0
    async with await Store.open(url) as store:

        async def submit(submitter: int) -> None:
            nonlocal failed
            for n in range(40):
                sent = envelope((submitter, n))
                queued = job(lane=lane(submitter), envelope=sent.id)
                while True:
                    try:
                        # A repeat after an ambiguous answer is recognised by its id.
                        await store.commit(AcceptEnvelope(sent, queued))
                        break
                    except Unavailable:
                        failed += 1
                        await asyncio.sleep(0.02)
                acknowledged.add(sent.id)
                progress.put_nowait(None)

        async with asyncio.timeout(DEADLINE_S):
            submitting = asyncio.gather(*(submit(n) for n in range(16)))
            for _kill in range(2):
                for _ in range(100):
                    await progress.get()
                await asyncio.to_thread(own_server.kill)
                await asyncio.to_thread(own_server.start)
            await submitting
        assert failed > 0
        assert len(acknowledged) == 16 * 40
        assert await ids_stored(store) == acknowledged
        assert await store.read(Sql("SELECT count(*) FROM jobs")) == [(640,)]
        await check_integrity(store)


async def test_reads_go_on_after_the_server_was_away(own_server: PostgresServer) -> None:
    url = own_server.url(own_server.fresh_database())
    await asyncio.to_thread(migrate.upgrade, url)
    async with await Store.open(url) as store:
        await store.read(Sql("SELECT 1"))
        await asyncio.to_thread(own_server.kill)
        with pytest.raises(Unavailable):
            await store.read(Sql("SELECT 1"))
        with pytest.raises(Unavailable):
            await store.commit(PutAlias(EMAIL, "a", "b"))
        await asyncio.to_thread(own_server.start)
        assert await store.read(Sql("SELECT 1")) == [(1,)]
        await store.commit(PutAlias(EMAIL, "a", "b"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    require(mount and os.geteuid() == 0, "a small file system: needs root and mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False)
    require(mounted.returncode == 0, "a small file system: mounting is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_is_a_temporary_error(small_disk: Path, migrated_sqlite: Path) -> None:
    shutil.copy(migrated_sqlite, small_disk / "gateway.db")
    acknowledged = set()
    refused = 0
    async with await Store.open(f"sqlite:///{small_disk / 'gateway.db'}") as store:

        async def submit(number: int) -> None:
            nonlocal refused
            sent = envelope(number, body=os.urandom(20_000))
            try:
                await store.commit(AcceptEnvelope(sent, job(number, envelope=sent.id)))
                acknowledged.add(sent.id)
            except Unavailable:
                refused += 1

        for start in range(0, 200, 4):
            await asyncio.gather(*(submit(number) for number in range(start, start + 4)))
        assert refused > 0
        assert len(acknowledged) > 10
        assert await ids_stored(store) == acknowledged
        await check_integrity(store)
        remount = ["mount", "-o", "remount,size=16m", str(small_disk)]
        await asyncio.to_thread(subprocess.run, remount, check=True)
        before = len(acknowledged)
        await asyncio.gather(*(submit(number) for number in range(1000, 1020)))
        assert len(acknowledged) == before + 20
        await check_integrity(store)


async def test_another_process_that_holds_the_lock_is_waited_for(sqlite_store_url: str) -> None:
    """An operator's command beside the service: its transaction delays ours and breaks nothing."""
    async with await Store.open(sqlite_store_url) as store, await Store.open(sqlite_store_url) as command:
        done = await asyncio.gather(
            *(store.commit(Enqueue(job(n, created_at=now_ms()))) for n in range(50)),
            *(command.commit(PutAlias(EMAIL, str(n), "x")) for n in range(50)),
        )
        assert len(set(done[:50])) == 50
        assert await store.read(Sql("SELECT count(*) FROM aliases")) == [(50,)]
