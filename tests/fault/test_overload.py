"""Ten times as many senders at once as a node lets in: most must come again, and nothing that was taken is lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.web.crowd import PER_ADDRESS
from tests.support.cluster import running_cluster
from tests.support.waiting import until

TIMES = 10
SENDERS, PERSONS, EACH = 4, 40, 16
"""2 560 envelopes, each on a connection of its own, all at the same moment."""
PAUSE = 0.5, 1.5
TEMPORARY = {(429, -32005), (503, -32002), (503, 0)}
"""The last one before a request is read: too many connections."""
RECOVERY_SECONDS = 10.0
SETTLE_SECONDS = 90.0
BEHIND_A_PROXY = {"DM3_GATEWAY__SERVER__TRUSTED_PROXIES": '["127.0.0.1"]'}
"""Its connections are not counted for one address: what bounds them is what the node holds open in all."""


@pytest.mark.attack(32)
@pytest.mark.parametrize("overrides", [{}, BEHIND_A_PROXY], ids=["one-address", "behind-a-proxy"])
async def test_overload_is_refused_and_passes(tmp_path: Path, overrides: Mapping[str, str]) -> None:
    """2 560 senders at once, 10 times the 256 connections of an address: refusals are 429 or 503 and never 500.

    0 of what was accepted is lost or comes twice; within 10 s of the end of the load a request is answered again.
    """
    assert SENDERS * PERSONS * EACH == TIMES * PER_ADDRESS
    async with running_cluster(
        tmp_path, "sqlite:///gateway.db", senders=SENDERS, persons=PERSONS, overrides=overrides
    ) as cluster:
        await cluster.start()
        single = [[each] for conversation in await cluster.conversations(EACH) for each in conversation]
        calm = await cluster.conversations(1, prefix="calm ")
        async with cluster.writing(single, pause=PAUSE) as senders:

            async def half() -> bool | None:
                return len(senders.acknowledged) >= len(single) // 2 or None

            await until(half, SETTLE_SECONDS)
            # Whoever waits for the next try gives up.
            senders.giving_up = True
        assert senders.refusals() > PER_ADDRESS, "nothing was refused: the test showed nothing"
        assert senders.answers.keys() - {(200, 0)} <= TEMPORARY, senders.figures()
        async with cluster.writing(calm[:1]) as first:
            await cluster.all_sent(first, RECOVERY_SECONDS)
        await cluster.delivered(senders, SETTLE_SECONDS)
        await cluster.delivered(first, SETTLE_SECONDS)
        assert set(cluster.sink.copies.values()) == {1}
        assert "Traceback" not in cluster.node.log()
        print(f"{len(senders.acknowledged)} accepted; {senders.figures()}")
