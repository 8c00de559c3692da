"""15 % of connections are cut between request and answer, before the gateway and behind it: nobody knows what happened.

Whoever got no answer repeats: a sender the same envelope, the gateway the same delivery key.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.cluster import running_cluster
from tests.support.cutting import cutting

BEFORE, BETWEEN = 0.05, 0.15
EACH = 25
"""Envelopes in each of 48 conversations."""
SETTLE_SECONDS = 90.0


async def test_doubtful_answers_on_both_hops(tmp_path: Path, rounds: int) -> None:
    """1 200 envelopes (24 000 with ``--long``): 0 lost, 0 duplicates, order kept.

    Of the sender's requests to the gateway and of the gateway's to the sink 15 % are served and not heard of, and 5 %
    never arrive.
    """
    ports: list[int] = []
    async with (
        cutting(lambda: ports[0], before=BEFORE, between=BETWEEN, seed=1) as behind,
        running_cluster(tmp_path, "sqlite:///gateway.db", sink_port=behind.port) as cluster,
        cutting(lambda: cluster.front, before=BEFORE, between=BETWEEN, seed=2) as before,
    ):
        ports.append(cluster.sink.port)
        await cluster.start()
        for number in range(rounds):
            conversations = await cluster.conversations(EACH, prefix=f"round {number} ")
            async with cluster.writing(conversations, through=before.port) as senders:
                await cluster.all_sent(senders, SETTLE_SECONDS)
            await cluster.delivered(senders, SETTLE_SECONDS)
            cluster.check(senders)
        total = rounds * sum(map(len, conversations))
        for proxy in (before, behind):
            print(f"{proxy.ambiguous} of {proxy.passed + proxy.ambiguous} answers cut, {proxy.early} requests")
            assert proxy.ambiguous > total // 10, "the proxy cut too little to show anything"
        assert len(cluster.sink.keys) == len(cluster.sink.taken) == total
        assert cluster.sink.calls > total, "deliveries were repeated"
