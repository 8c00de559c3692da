"""The reference's metrics: what passed per interval, as CSV, and never the interval under way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.dm3.envelope import canonical_envelope
from gateway.errors import Unavailable
from gateway.lifecycle import now_ms
from gateway.relay import traffic as module
from gateway.relay.traffic import HEAD, INTERVAL_SECONDS, RETENTION_SECONDS, Traffic
from gateway.store import Store
from gateway.store.mailbox import PickUp
from gateway.store.traffic import Interval, TrafficBetween
from tests.integration.relay.clients import get, submit_text
from tests.integration.relay.envelopes import sealed
from tests.integration.store.values import envelope
from tests.support.house import House, rpc, running_house
from tests.support.waiting import until

HOUR = INTERVAL_SECONDS * 1000
BEGIN = now_ms() // HOUR * HOUR


class Time:
    """The wall clock: the beginning of this hour, moved on by the test."""

    def __init__(self) -> None:
        self.now = BEGIN + 1234

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.02)


@pytest.fixture
async def working_house(tmp_path: Path, clock: Time, quick: None) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", clock=clock) as running:
        yield running


async def metrics(house: House) -> list[list[str]] | None:
    """Rows behind the head; None for 204."""
    answer = await get(house, "/ds/metrics")
    if answer.status_code == 204:
        assert answer.content == b""
        return None
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    head, *rows = answer.text.split("\n")
    assert head == "timestampStart,durationSeconds,messageCount,messageSizeBytes,notificationCount"
    return [row.split(",") for row in rows]


async def sizes(house: House, *people: Any) -> int:
    waiting = [await house.gateway.store.read(PickUp(each.address, 0, 100)) for each in people]
    return sum(each.size for mailbox in waiting for each in mailbox)


async def test_figures_of_whole_intervals_in_seconds(working_house: House, clock: Time) -> None:
    """Nothing at first; an interval is shown when it is over, and the one under way never is."""
    house = working_house
    assert await metrics(house) is None
    alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
    for number in range(3):
        await submit_text(house, alice, bob, str(number))
    first = await sizes(house, bob)
    await until(lambda: _written(house, 1))
    assert await metrics(house) is None
    clock.now += HOUR
    assert await metrics(house) == [[str(BEGIN // 1000), "3600", "3", str(first), "0"]]
    await submit_text(house, bob, alice, "another hour", account="bob")
    await until(lambda: _written(house, 2))
    assert len(await metrics(house) or []) == 1
    clock.now = BEGIN + 2 * HOUR
    assert await metrics(house) == [
        [str(BEGIN // 1000), "3600", "3", str(first), "0"],
        [str((BEGIN + HOUR) // 1000), "3600", "1", str(await sizes(house, alice)), "0"],
    ]


async def _written(house: House, intervals: int) -> bool | None:
    found = await house.gateway.store.read(TrafficBetween(0, 2**60))
    return True if len(found) == intervals and sum(each.messages for each in found) in {3, 4} else None


async def test_what_was_not_taken_is_not_counted(working_house: House, clock: Time) -> None:
    """Neither repeats nor refusals."""
    house = working_house
    alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
    sent = sealed(house, alice, bob)
    for _ in range(3):
        assert (await rpc(house, "dm3_submitMessage", canonical_envelope(sent))).status_code == 200
    forged = sealed(house, bob, alice, account="mallory")
    assert (await rpc(house, "dm3_submitMessage", canonical_envelope(forged))).status_code == 401
    clock.now += HOUR

    async def shown() -> list[list[str]] | None:
        return await metrics(house)

    [row] = await until(shown)
    assert row[2] == "1"


@pytest.mark.parametrize("path", ["/ds/metrics", "/ds/metrics/"])
async def test_where_the_figures_are(house: House, path: str) -> None:
    assert (await get(house, path)).status_code == 204


async def test_the_operator_s_monitoring_is_somewhere_else(house: House) -> None:
    answer = await get(house, "/metrics")
    assert HEAD not in answer.text
    assert answer.status_code != 204


async def test_figures_survive_an_orderly_stop(tmp_path: Path, clock: Time) -> None:
    """Nothing was written yet when the node is told to stop."""
    async with running_house(tmp_path / "house", clock=clock) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        for number in range(2):
            await submit_text(house, alice, bob, str(number))
        url = house.settings.store.url
    async with await Store.open(url) as store:
        [figures] = await store.read(TrafficBetween(0, 2**60))
        assert (figures.start, figures.messages) == (BEGIN, 2)


async def test_figures_are_shown_for_as_long_as_the_properties_say(store: Store, clock: Time) -> None:
    traffic = Traffic(store, clock)
    oldest = BEGIN - RETENTION_SECONDS * 1000
    for start in (oldest - HOUR, oldest, BEGIN - HOUR, BEGIN):
        clock.now = start
        traffic.count(envelope(1, body=b"x" * 7))
        traffic.count_notification()
    await traffic.write()
    body = bytes((await traffic.csv()).body).decode()
    assert body == f"{HEAD}\n{oldest // 1000},3600,1,7,1\n{(BEGIN - HOUR) // 1000},3600,1,7,1"


# --- a store that is away, and a stop in the middle ----------------------------------------------------------------


class Held:
    """A store whose commits wait for permission, or fail."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.away = False

    async def commit(self, op: Any) -> Any:
        self.begun.set()
        await self.go_on.wait()
        if self.away:
            raise Unavailable("away")
        return await self.store.commit(op)


async def total(store: Store) -> Interval:
    [found] = await store.read(TrafficBetween(0, 2**60))
    return found


async def test_figures_wait_for_a_store_that_is_away(store: Store, clock: Time) -> None:
    held = Held(store)
    traffic = Traffic(held, clock)  # type: ignore[arg-type]
    traffic.count(envelope(1, body=b"x" * 10))
    held.away = True
    held.go_on.set()
    with pytest.raises(Unavailable):
        await traffic.write()
    traffic.count(envelope(2, body=b"x" * 5))
    held.away = False
    await traffic.write()
    await traffic.write()
    assert await total(store) == Interval(BEGIN, 2, 15, 0)


@pytest.mark.usefixtures("quick")
async def test_a_stop_while_figures_are_written_loses_none_and_counts_none_twice(store: Store, clock: Time) -> None:
    held = Held(store)
    traffic = Traffic(held, clock)  # type: ignore[arg-type]
    traffic.count(envelope(1, body=b"x" * 10))
    running = asyncio.create_task(traffic.run())
    await held.begun.wait()
    traffic.count(envelope(2, body=b"x" * 5))
    running.cancel()
    await asyncio.sleep(0)
    held.go_on.set()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert await total(store) == Interval(BEGIN, 2, 15, 0)
