"""Three gateways on one PostgreSQL behind a balancer: any of them does anything, and each may go and come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bench.people import log_in
from tests.support.cluster import Cluster, running_cluster
from tests.support.senders import HttpLine
from tests.support.sink import SINK
from tests.support.waiting import until

EACH = 25
"""Envelopes in each of 48 conversations."""
DRAIN_SECONDS = 5
"""The balancer looks at /readyz every 0.2 s and waits 4 s for an answer: so long it may take a node for ready."""
TAKE_OVER_SECONDS = 15.0
AIR_SECONDS = 15.0
"""For a busy machine."""
SETTLE_SECONDS = 60.0
OVERRIDES = {"DM3_GATEWAY__SERVER__DRAIN_SECONDS": str(DRAIN_SECONDS)}


@pytest.fixture
async def cluster(tmp_path: Path, postgres_url: str) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path, postgres_url, nodes=3, overrides=OVERRIDES) as cluster:
        await cluster.start()
        yield cluster


async def test_any_node_takes_any_request(cluster: Cluster) -> None:
    """A log-in at one node, mail taken by the second, picked up at the third, acknowledged at the second.

    After that it is gone at all three.
    """
    urls = [node.url for node in cluster.nodes]
    reader, writer = cluster.senders[:2]
    headers = {"authorization": f"Bearer {await log_in(cluster.http, urls[0], reader)}"}

    async def waiting(node: int) -> list[str]:
        answer = await cluster.http.get(f"{urls[node]}/api/v1/mailbox", headers=headers)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["envelopes"]]

    letter = await cluster.letter(writer, reader, "hello")
    line = HttpLine(int(urls[1].rpartition(":")[2]))
    status, body = await line.ask(letter.request)
    line.close()
    assert status == 200, body
    ids = await waiting(2)
    assert len(ids) == 1
    answer = await cluster.http.post(f"{urls[1]}/api/v1/mailbox/acknowledgements", headers=headers, json={"ids": ids})
    assert answer.json() == {"removed": 1}
    assert [await waiting(node) for node in range(3)] == [[], [], []]


async def test_restarts_in_turn_under_load(cluster: Cluster) -> None:
    """SIGTERM to one node after the other while 48 conversations are written to: 1 200 envelopes, 0 requests fail.

    No try is refused, cut off or finds nobody: a node that is told to stop first says 503 at /readyz and serves on.
    0 lost, 0 duplicates, order kept.
    """
    conversations = await cluster.conversations(EACH)
    total = sum(map(len, conversations))
    async with cluster.writing(conversations) as senders:
        for number, node in enumerate(cluster.nodes):

            async def reached(wanted: int = total * (number + 1) // 5) -> bool | None:
                return len(senders.acknowledged) >= wanted or None

            await until(reached, 60)
            assert await node.stop() == 0
            await node.start()
            await cluster.balanced()
        await cluster.all_sent(senders, 60)
    print(senders.figures())
    assert set(senders.answers) == {(200, 0)}, senders.figures()
    assert (senders.unanswered, senders.unconnected) == (0, 0), senders.figures()
    await cluster.delivered(senders, SETTLE_SECONDS)
    cluster.check(senders)


async def test_the_one_link_moves_on(cluster: Cluster) -> None:
    """One node holds the adapter's only link; after its SIGKILL another has it within 15 s, and so after SIGTERM."""

    async def linked(but: int = 0) -> int | None:
        return next((pid for pid in cluster.sink.links.get(SINK, ()) if pid != but), None)

    holder = await until(linked, TAKE_OVER_SECONDS)
    dying = next(node for node in cluster.nodes if node.pid == holder)
    await dying.kill()
    second = await until(lambda: linked(holder), TAKE_OVER_SECONDS + AIR_SECONDS)
    leaving = next(node for node in cluster.nodes if node.pid == second)
    assert await leaving.stop() == 0
    third = await until(lambda: linked(second), TAKE_OVER_SECONDS + AIR_SECONDS)
    assert third not in (holder, second)
    assert cluster.sink.most_links == 1, "two at a time"
