"""Two gateways on one PostgreSQL, behind a balancer: the database dies, a node dies, a node freezes beyond its lease.

Everywhere 0 acknowledged envelopes are lost, 0 come twice at an adapter with keys, each conversation keeps its order
and is never at two nodes at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, running_cluster
from tests.support.postgres import PostgresServer, start_postgres
from tests.support.senders import Senders
from tests.support.waiting import until

DATABASE_KILLS = 6
NODE_KILLS = 2
EACH = 30
"""Envelopes in each of 48 conversations."""
TAKE_OVER_SECONDS = 15.0
AIR_SECONDS = 15.0
"""For a busy machine, on which what was taken over takes its time as everything does."""
SETTLE_SECONDS = 60.0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that may be killed."""
    server = start_postgres()
    yield server
    server.remove()


@pytest.fixture
async def cluster(tmp_path: Path, server: PostgresServer) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path, server.url(server.fresh_database()), nodes=2) as cluster:
        await cluster.start()
        yield cluster


async def acknowledged(senders: Senders, number: int) -> None:
    """Return when so many were answered 200."""

    async def look() -> bool | None:
        return len(senders.acknowledged) >= number or None

    await until(look, 60)


def only_temporary(senders: Senders) -> bool:
    """Whether every refusal was one that tells a sender to come again."""
    return all(status == 200 or (status, code) == (503, -32002) for status, code in senders.answers)


async def test_kills_of_the_database_server(cluster: Cluster, server: PostgresServer, rounds: int) -> None:
    """kill -9 of the postmaster and all its children, 6 times under load (120 with ``--long``), 1 440 envelopes.

    0 lost, 0 duplicates, order kept; meanwhile only 503 with -32002, or no answer.
    """
    moments = random.Random(20262)
    for number in range(rounds):
        conversations = await cluster.conversations(EACH, prefix=f"round {number} ")
        total = sum(map(len, conversations))
        async with cluster.writing(conversations) as senders:
            for kill in range(DATABASE_KILLS):
                await acknowledged(senders, int((kill + moments.random()) * total / DATABASE_KILLS))
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await cluster.all_sent(senders, 90)
        assert only_temporary(senders), senders.answers
        assert senders.answers.total() > total, "the kills met requests under way"
        await cluster.delivered(senders, SETTLE_SECONDS)
        cluster.check(senders)
        print(f"{DATABASE_KILLS} kills, {total} acknowledged, {senders.answers}")


async def test_kills_of_one_node_of_two(cluster: Cluster, rounds: int) -> None:
    """kill -9 of either node in turn, 2 times (40 with ``--long``), while the other goes on.

    0 lost, 0 duplicates, order kept; the dead one's conversations go on at the other within 15 s.
    """
    for number in range(NODE_KILLS * rounds):
        conversations = await cluster.conversations(6, prefix=f"round {number} ")
        dying = cluster.nodes[number % 2]
        cluster.sink.pause = 1.0
        async with cluster.writing(conversations) as senders:
            await acknowledged(senders, 48 * 2)
            behind = await holding(cluster, dying.pid, senders)
            await dying.kill()
            cluster.sink.pause = 0.0
            await cluster.delivered(behind, TAKE_OVER_SECONDS + AIR_SECONDS)
            await dying.start()
            await cluster.all_sent(senders, 60)
        await cluster.delivered(senders, SETTLE_SECONDS)
        cluster.check(senders)
    assert len(cluster.sink.nodes) > 2, "every life of both nodes has delivered"


async def test_a_node_that_freezes_beyond_its_lease(cluster: Cluster) -> None:
    """SIGSTOP of one node of two under load until its conversations were taken over, then SIGCONT.

    0 lost, 0 duplicates, order kept; its conversations go on at the other node within 15 s. The frozen one finds its
    leases lost and writes nothing about them: its results are fenced.
    """
    conversations = await cluster.conversations(EACH)
    frozen, other = cluster.nodes
    async with cluster.writing(conversations) as senders:
        await acknowledged(senders, 48 * EACH // 4)
        cluster.sink.pause = 1.0
        behind = await holding(cluster, frozen.pid, senders)
        frozen.freeze()
        cluster.sink.pause = 0.0
        by_other = cluster.sink.nodes[other.pid]
        await cluster.delivered(behind, TAKE_OVER_SECONDS + AIR_SECONDS)
        assert cluster.sink.nodes[other.pid] > by_other
        frozen.thaw()
        await cluster.all_sent(senders, 90)
    await cluster.delivered(senders, SETTLE_SECONDS)
    cluster.check(senders)
    assert "lane.lost" in frozen.log()


async def holding(cluster: Cluster, pid: int, senders: Senders) -> Senders:
    """What waits behind the deliveries that a process has under way, once there are several."""

    async def look() -> Senders | None:
        behind = cluster.behind(cluster.sink.held_by(pid), senders)
        return behind if len(behind.acknowledged) >= 3 else None

    return await until(look, 30)
