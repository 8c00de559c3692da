"""How many connections a destination gets, and for how long it is left alone."""

from __future__ import annotations

import asyncio

import pytest

from adapters.email.destinations import PAUSES, Busy, Destinations


class Watch:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_no_more_connections_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.email.destinations.SLOT_WAIT", 0.05)
    destinations = Destinations(2)
    async with destinations.slot("a.example"), destinations.slot("a.example"):
        with pytest.raises(Busy, match="other mail"):
            async with destinations.slot("a.example"):
                pass
        async with destinations.slot("b.example"):
            pass
    async with destinations.slot("a.example"):
        pass


async def test_who_waits_gets_the_next_free_one() -> None:
    destinations = Destinations(1)
    order: list[str] = []
    entered = asyncio.Event()

    async def first() -> None:
        async with destinations.slot("a.example"):
            entered.set()
            await asyncio.sleep(0)
            order.append("first")

    async def second() -> None:
        await entered.wait()
        async with destinations.slot("a.example"):
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]


async def test_pauses_grow_with_failures_in_a_row_and_end_with_an_answer() -> None:
    watch = Watch()
    destinations = Destinations(5, watch)
    for pause in (*PAUSES, PAUSES[-1]):
        assert destinations.rests_for("a.example") == 0
        destinations.failed("a.example")
        destinations.failed("a.example")  # of another connection at the same time
        assert destinations.rests_for("a.example") == pause
        with pytest.raises(Busy, match="left alone") as busy:
            async with destinations.slot("a.example"):
                pass
        assert pause <= busy.value.after <= pause + 5
        assert destinations.rests_for("b.example") == 0
        watch.now += pause
    destinations.answered("a.example")
    destinations.failed("a.example")
    assert destinations.rests_for("a.example") == PAUSES[0]


async def test_nothing_is_kept_of_a_destination_that_works() -> None:
    destinations = Destinations(1)
    for number in range(100):
        async with destinations.slot(f"{number}.example"):
            destinations.answered(f"{number}.example")
    assert not destinations._slots
    assert not destinations._users
