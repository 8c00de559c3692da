"""One destination is dead: it takes connections and says nothing. The others hardly notice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.work.worker import SHARE
from tests.support.cluster import Cluster, running_cluster
from tests.support.senders import Prepared
from tests.support.sink import TAR
from tests.support.waiting import until

SENDERS, PERSONS, EACH = 4, 40, 2
"""160 conversations in each network: more than a node works on for one of them."""
SETTLE_SECONDS = 40.0
"""Less than the 60 s after which a silent connection is given up."""


async def test_a_dead_network_takes_nothing_of_the_share_of_another(tmp_path: Path) -> None:
    """160 conversations with a silent network: the other has its whole share of deliveries under way, as alone.

    All 320 of its envelopes arrive before one of the silent network's tries is over: none of them waits behind one.
    """
    async with running_cluster(tmp_path, "sqlite:///gateway.db", senders=SENDERS, persons=PERSONS) as cluster:
        await cluster.start()
        alone = await most_busy(cluster, await cluster.conversations(EACH, prefix="alone "))
        cluster.sink.dead.add(TAR)
        await cluster.written(await cluster.conversations(1, prefix="dead ", network=TAR))

        async def hanging() -> bool | None:
            return cluster.sink.hanging >= SHARE or None

        await until(hanging, SETTLE_SECONDS)
        beside = await most_busy(cluster, await cluster.conversations(EACH, prefix="beside "))
        print(f"{alone} under way at a time alone, {beside} beside {cluster.sink.hanging} that hang")
        assert cluster.sink.given_up == 0


async def most_busy(cluster: Cluster, conversations: Sequence[Sequence[Prepared]]) -> int:
    """Write it, and wait until everything is delivered, of which nothing is before a share of it is under way at once.

    Returns how many deliveries were under way at a time.
    """
    cluster.sink.closed, cluster.sink.most_busy, cluster.sink.together = True, 0, SHARE
    senders = await cluster.written(conversations)
    cluster.sink.closed = False
    try:
        await cluster.delivered(senders, SETTLE_SECONDS)
    except AssertionError:
        raise AssertionError(f"never more than {cluster.sink.most_busy} of {SHARE} under way at a time") from None
    cluster.check(senders)
    return cluster.sink.most_busy


async def test_people_who_are_dead_do_not_stop_others_of_their_network(tmp_path: Path) -> None:
    """80 conversations with people behind whom nobody answers, 80 with others of the same network.

    All 160 envelopes of the others arrive before one of the silent tries is over (60 s), so that none waits for one.
    """
    async with running_cluster(tmp_path, "sqlite:///gateway.db", senders=SENDERS, persons=PERSONS) as cluster:
        await cluster.start()
        cluster.sink.dead.update(cluster.persons[::2])
        conversations = await cluster.conversations(EACH)
        by_lane = list(zip(cluster.lanes(), conversations, strict=True))
        await cluster.written([each for (_, person), each in by_lane if person in cluster.sink.dead])

        async def hanging() -> bool | None:
            return cluster.sink.hanging >= SHARE or None

        await until(hanging, SETTLE_SECONDS)
        others = await cluster.written([each for (_, person), each in by_lane if person not in cluster.sink.dead])
        await cluster.delivered(others, SETTLE_SECONDS)
        assert cluster.sink.given_up == 0
        assert cluster.sink.hanging == SENDERS * PERSONS // 2
