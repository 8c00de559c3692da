"""The wall clock of a running gateway is set: an hour back, a day and ten years ahead, and right again each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.people import log_in
from tests.support.cluster import Cluster, running_cluster
from tests.support.faketime import WallClock
from tests.support.waiting import until

HOUR = 3600
STEPS = {"an hour back": -HOUR, "a day ahead": 24 * HOUR, "ten years ahead": 10 * 365 * 24 * HOUR}
SENDERS, PERSONS, EACH = 2, 4, 3
"""24 envelopes wait when the clock is set."""
SETTLE_SECONDS = 30.0


@pytest.mark.attack(60)
async def test_a_clock_that_is_set_costs_nobody_a_message(tmp_path: Path) -> None:
    """24 envelopes wait at each of three steps: 0 expire, 0 are lost, none comes twice, all arrive within 30 s.

    Lanes are leased and given back as ever; whoever was logged in still is, and others can log in; what comes
    afterwards is taken and delivered, and so it is when the clock is right again.
    """
    clock = WallClock(tmp_path)
    async with running_cluster(
        tmp_path / "house", "sqlite:///gateway.db", senders=SENDERS, persons=PERSONS, overrides=clock.environment
    ) as cluster:
        await cluster.start()
        token = await log_in(cluster.http, cluster.settings.server.public_url, cluster.senders[0])
        for name, step in STEPS.items():
            cluster.sink.closed = True
            async with cluster.writing(await cluster.conversations(EACH, prefix=f"{name}, waiting ")) as waiting:
                await cluster.all_sent(waiting, 60)
            clock.set(step)
            await each_was_tried(cluster)
            assert await is_logged_in(cluster, token)
            cluster.sink.closed = False
            await cluster.delivered(waiting, SETTLE_SECONDS)
            for when in ("set", "right"):
                async with cluster.writing(await cluster.conversations(EACH, prefix=f"{name}, {when} ")) as senders:
                    await cluster.all_sent(senders, 60)
                await cluster.delivered(senders, SETTLE_SECONDS)
                cluster.check(senders)
                new = await log_in(cluster.http, cluster.settings.server.public_url, cluster.senders[1])
                assert await is_logged_in(cluster, token)
                assert await is_logged_in(cluster, new, 1)
                clock.set(0)
            cluster.check(waiting)
        assert cluster.node.log().count("clock.set") == len(STEPS), "the node saw every step"


async def is_logged_in(cluster: Cluster, token: str, person: int = 0) -> bool:
    """Whether a token opens the mailbox."""
    path = f"{cluster.settings.server.public_url}/ds/delivery/messages/incoming/{cluster.senders[person].name}"
    answer = await cluster.http.get(path, headers={"authorization": f"Bearer {token}"})
    return answer.status_code == 200


async def each_was_tried(cluster: Cluster) -> None:
    """Return when every conversation that waits was tried several times, so that an expiry would have come."""
    before = cluster.sink.calls

    async def look() -> bool | None:
        return cluster.sink.calls >= before + 5 * SENDERS * PERSONS or None

    await until(look, SETTLE_SECONDS)
