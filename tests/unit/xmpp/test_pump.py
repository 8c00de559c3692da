"""Stanzas on their way in: in order for each pair, together when they wait together, and no more than a bound."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element

import pytest

from adapters.xmpp.pump import FEW, MOST, MOST_OF_A_PAIR, TOGETHER, Pump


class Sink:
    """Keeps what it is handed, by sender, and holds it up until it is let go."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, list[str]]] = []
        self.paused: list[bool] = []
        self.go = asyncio.Event()
        self.go.set()
        self.wrong = ""
        self.refused: list[str] = []
        self.pump = Pump(self._handle, self.paused.append, lambda stanza: self.refused.append(stanza.attrib["id"]))

    async def _handle(self, stanzas: list[Element]) -> None:
        self.runs.append((stanzas[0].attrib["from"].partition("/")[0], [each.attrib["id"] for each in stanzas]))
        await self.go.wait()
        if self.wrong in self.runs[-1][1]:
            raise ValueError(self.wrong)

    def take(self, sender: str, *numbers: int) -> None:
        for number in numbers:
            self.pump.take(Element("message", {"from": f"{sender}/{number % 2}", "to": "x", "id": str(number)}))


@pytest.fixture
async def sink() -> Sink:
    return Sink()


async def test_what_waits_is_handed_over_together_and_in_order(sink: Sink) -> None:
    sink.go.clear()
    sink.take("a", 0)
    await asyncio.sleep(0)
    sink.take("a", *range(1, TOGETHER + 5))
    sink.take("b", 100)
    sink.go.set()
    await sink.pump.drain(60)
    of_a = [ids for sender, ids in sink.runs if sender == "a"]
    assert [len(ids) for ids in of_a] == [1, TOGETHER, 4]
    assert [int(id) for ids in of_a for id in ids] == list(range(TOGETHER + 5))
    assert ("b", ["100"]) in sink.runs


async def test_one_pair_does_not_wait_for_another(sink: Sink) -> None:
    sink.go.clear()
    sink.take("a", 0)
    await asyncio.sleep(0)
    sink.take("b", 1)
    await asyncio.sleep(0)
    assert [sender for sender, _ in sink.runs] == ["a", "b"]
    sink.go.set()
    await sink.pump.drain(60)


async def test_what_fails_does_not_stop_what_follows(sink: Sink) -> None:
    sink.wrong = "0"
    sink.take("a", 0)
    await asyncio.sleep(0.01)
    sink.take("a", 1)
    await sink.pump.drain(60)
    assert [ids for _, ids in sink.runs] == [["0"], ["1"]]


async def test_too_many_stop_the_reading_until_few_are_left(sink: Sink) -> None:
    sink.go.clear()
    for number in range(MOST - 1):
        sink.take(f"a{number % 10}", number)
    assert sink.paused == []
    sink.take("a", MOST)
    assert sink.paused == [True]
    sink.go.set()
    await sink.pump.drain(60)
    assert sink.paused == [True, False]
    assert sum(len(ids) for _, ids in sink.runs) == MOST
    assert FEW < MOST


async def test_those_of_one_pair_that_wait_do_not_stop_the_reading(sink: Sink) -> None:
    sink.go.clear()
    sink.take("a", 0)
    await asyncio.sleep(0)
    sink.take("a", *range(1, 2 * MOST))
    first_refused = MOST_OF_A_PAIR + 1
    assert sink.refused == [str(number) for number in range(first_refused, 2 * MOST)]
    assert sink.paused == []
    sink.take("b", 7)
    sink.go.set()
    await sink.pump.drain(60)
    assert [int(id) for sender, ids in sink.runs if sender == "a" for id in ids] == list(range(first_refused))
    assert ("b", ["7"]) in sink.runs
    sink.take("a", 8)
    await sink.pump.drain(60)
    assert sink.runs[-1] == ("a", ["8"])
