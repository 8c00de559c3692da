"""kill -9 of the gateway at 30 random moments, while 160 conversations are written to and delivered."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.support.cluster import running_cluster
from tests.support.waiting import until

KILLS = 30
SENDERS, PERSONS, EACH = 4, 40, 20
"""3 200 envelopes. A dead node's conversations rest for 12 s, so there are more than one life can begin."""
SETTLE_SECONDS = 60.0
"""A dead node's lanes are free again after 12."""


@pytest.mark.timeout(900)  # a minute on a calm machine, and 30 starts of a process on a busy one
async def test_nothing_acknowledged_is_lost(tmp_path: Path, rounds: int) -> None:
    """30 kills, 3 200 envelopes that were answered 200: 0 lost, 0 twice at an adapter with keys, order kept.

    With ``--long`` 600 kills and 64 000 envelopes.
    """
    moments = random.Random(20261)
    async with running_cluster(tmp_path, "sqlite:///gateway.db", senders=SENDERS, persons=PERSONS) as cluster:
        await cluster.start()
        for number in range(rounds):
            conversations = await cluster.conversations(EACH, prefix=f"round {number} ")
            total = SENDERS * PERSONS * EACH
            async with cluster.writing(conversations) as senders:
                for kill in range(KILLS):
                    wanted = int((kill + moments.random()) * total / KILLS)

                    async def reached(wanted: int = wanted) -> bool | None:
                        return len(senders.acknowledged) >= wanted or None

                    await until(reached, 60)
                    await asyncio.sleep(moments.uniform(0, 0.01))
                    await cluster.node.kill()
                    await cluster.node.start()
                await cluster.all_sent(senders, 60)
            assert len(senders.acknowledged) == total >= 3000
            assert senders.unanswered >= KILLS, "the kills met requests under way"
            await cluster.delivered(senders, SETTLE_SECONDS)
            cluster.check(senders)
            print(f"{KILLS} kills, {total} acknowledged, {senders.unanswered} requests without an answer,", end=" ")
            print(f"{cluster.sink.calls - len(cluster.sink.keys)} deliveries repeated with the same key")
