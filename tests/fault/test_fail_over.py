"""The primary PostgreSQL dies for good, and its synchronous standby takes its place: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import running_cluster
from tests.support.postgres import PostgresServer, start_postgres
from tests.support.waiting import until

EACH = 20
"""Envelopes in each of 48 conversations: 960."""
SETTLE_SECONDS = 60.0


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    server = start_postgres()
    yield server
    server.remove()


async def test_fail_over_to_a_synchronous_standby(tmp_path: Path, primary: PostgresServer) -> None:
    """kill -9 of the primary under load, promotion of the standby: two nodes go on by themselves.

    960 envelopes, 0 lost, 0 duplicates, order kept; meanwhile only 503 with -32002. ``store.url`` names both servers.
    """
    database = primary.fresh_database()
    async with running_cluster(tmp_path, primary.url(database), nodes=2) as cluster:
        standby = await asyncio.to_thread(start_postgres, following=primary)
        try:
            both = f"postgresql://postgres@/{database}?host={primary.folder},{standby.folder}&port=5432,5432"
            for node in cluster.nodes:
                node.environment["DM3_GATEWAY__STORE__URL"] = f"{both}&target_session_attrs=read-write"
            await cluster.start()
            conversations = await cluster.conversations(EACH)
            async with cluster.writing(conversations) as senders:

                async def half() -> bool | None:
                    return len(senders.acknowledged) >= 48 * EACH // 2 or None

                await until(half, 60)
                await asyncio.to_thread(primary.kill)
                await asyncio.to_thread(standby.promote)
                await cluster.all_sent(senders, SETTLE_SECONDS)
            print(senders.figures())
            assert senders.answers.keys() <= {(200, 0), (503, -32002)}, senders.figures()
            await cluster.delivered(senders, SETTLE_SECONDS)
            cluster.check(senders)
        finally:
            await asyncio.to_thread(standby.remove)
