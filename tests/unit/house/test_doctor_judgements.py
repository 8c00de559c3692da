"""What `doctor` makes of what it was told: judgements without a world, where the world cannot be broken by a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.ids import EthAddress
from gateway.operations.checks.certificate import days
from gateway.operations.checks.chain import age
from gateway.operations.checks.clock import against_servers, behind_blocks
from gateway.operations.checks.names import gateways, life
from gateway.operations.checks.relay import led
from gateway.operations.checks.store import durability, held, nodes, room, waiting
from gateway.sdk import Finding, State
from gateway.store.condition import Condition
from gateway.store.jobs import JobState
from gateway.store.leases import Fence
from gateway.store.queue import QueueCount

OK, WARN, FAIL = State.OK, State.WARN, State.FAIL
DAY = 86_400
CONTRACT = EthAddress("0x" + "ab" * 20)
URL = "https://gw.example"


def sqlite(journal: str, synchronous: str) -> Condition:
    return Condition({"journal_mode": journal, "synchronous": synchronous}, 10**6)


def postgres(fsync: str) -> Condition:
    settings = {"server_encoding": "UTF8", "synchronous_commit": "on", "fsync": fsync, "server_version": "15"}
    return Condition(settings, 10**6)


def fences(*owners: str) -> list[Fence]:
    return [Fence(f"lease {number}", owner, 1, 10) for number, owner in enumerate(owners)]


def count(age_ms: int) -> list[QueueCount]:
    return [QueueCount("email", JobState.READY, 3, 10**9 - age_ms)]


@pytest.mark.parametrize(
    ("judged", "state"),
    [
        (durability(sqlite("wal", "2")), OK),
        (durability(sqlite("delete", "2")), FAIL),
        (durability(sqlite("wal", "1")), FAIL),
        (durability(postgres("on")), OK),
        (durability(postgres("off")), FAIL),
        (nodes([], several=False), OK),
        (nodes(fences("a", "a"), several=False), OK),
        (nodes(fences("a", "b"), several=True), OK),
        (nodes(fences("a", "b"), several=False), FAIL),
        (held([]), OK),
        (held([QueueCount("matrix", JobState.HOLD, 2, 0)]), WARN),
        (waiting([], 0), OK),
        (waiting(count(1_000), 10**9), OK),
        (waiting(count(20 * 60_000), 10**9), WARN),
        (waiting(count(2 * DAY * 1000), 10**9), FAIL),
        (room(10**11, Path("/")), OK),
        (room(10**9, Path("/")), WARN),
        (room(10**8, Path("/")), FAIL),
        (age(1_000, 1_012.0), OK),
        (age(1_000, 1_400.0), WARN),
        (age(1_000, 5_000.0), FAIL),
        (behind_blocks(1_010, 1_000.0), OK),
        (behind_blocks(1_100, 1_000.0), FAIL),
        (against_servers([0.4, -0.4]), OK),
        (against_servers([]), WARN),
        (against_servers([20.0, 21.0, 900.0]), WARN),
        (against_servers([-7_200.0]), FAIL),
        (life(1_300, 1_000, 1_000.0, 300), OK),
        (life(1_300, 1_298, 1_000.0, 300), FAIL),
        (life(1_300, 1_000, 1_900.0, 300), FAIL),
        (life(9_000, 1_000, 1_000.0, 300), WARN),
        (gateways([f"{URL}/ccip/{CONTRACT}/{{data}}.json?via={{sender}}"], URL, CONTRACT), OK),
        (gateways(["https://other.example/{data}"], URL, CONTRACT), FAIL),
        (gateways([], URL, CONTRACT), FAIL),
        (led(308, "https://gw.example/"), OK),
        (led(200, ""), WARN),
        (led(301, "http://gw.example/"), WARN),
        (days(30 * DAY, 0), OK),
        (days(5 * DAY, 0), WARN),
    ],
)
def test_judgement(judged: Finding, state: State) -> None:
    assert judged.state is state, judged
    assert bool(judged.fix) == (state is not OK)
