"""What is common to all registries: names are mapped, answers have their time, look-ups are bounded."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import BadRegistryAnswer, FetchFailed, RegistryDown, UnknownName
from gateway.ids import EnsName
from gateway.resolver.records import NameRecords
from gateway.resolver.registries.registry import Finding, Reading, RegistryLimits
from gateway.resolver.registries.wanted import Wanted
from tests.unit.resolver.registries.origins import ALICE, NOW, URL, Scripted

HERS = NameRecords(texts={"url": "https://alice.example"})
OTHER = Wanted(texts=frozenset({"avatar"}))


async def test_names_are_asked_for_as_they_are_called_there() -> None:
    origin = Scripted(Reading(HERS))
    for name in (ALICE, "a.b.gno.gw.eth", "ξένος.gno.gw.eth", "gno.gw.eth.gno.gw.eth"):
        await origin.registry().find(EnsName(name), URL)
    asked = [name for name, _ in origin.asked]
    assert asked == ["alice.gno.eth", "a.b.gno.eth", "ξένος.gno.eth", "gno.gw.eth.gno.eth"]


@pytest.mark.parametrize("name", ["gno.gw.eth", "xgno.gw.eth", "alice.gw.eth", "gw.eth", "alice.gno.eth"])
def test_only_names_below_the_zone_are_the_registrys(name: str) -> None:
    assert not Scripted(Reading(None)).registry().covers(EnsName(name))
    assert Scripted(Reading(None)).registry().covers(ALICE)


async def test_a_name_that_gets_too_long_there_is_not_there() -> None:
    origin = Scripted(Reading(HERS))
    registry = origin.registry(RegistryLimits(negative_ttl=20), zone=EnsName("g.eth"))
    name = EnsName("a" * 248 + ".g.eth")
    assert await registry.find(name, URL) == Finding(None, 20)
    assert origin.asked == []


async def test_an_answer_is_used_again_for_half_its_time_and_told_for_what_is_left() -> None:
    origin = Scripted(Reading(HERS))
    registry = origin.registry(RegistryLimits(ttl=60))
    assert await registry.find(ALICE, URL) == Finding(HERS, 60)
    origin.now = NOW + 29_999
    assert await registry.find(ALICE, URL) == Finding(HERS, 30)
    assert len(origin.asked) == 1
    origin.now = NOW + 30_000
    assert await registry.find(ALICE, URL) == Finding(HERS, 60)
    assert len(origin.asked) == 2


async def test_the_registrys_own_end_comes_before_ours() -> None:
    origin = Scripted(Reading(HERS, NOW + 10_500))
    registry = origin.registry(RegistryLimits(ttl=60))
    assert (await registry.find(ALICE, URL)).ttl == 10
    origin.now = NOW + 5_250
    origin.reading = Reading(None, NOW + 7_250)
    assert await registry.find(ALICE, URL) == Finding(None, 2)


async def test_that_a_name_is_not_there_is_remembered_for_its_own_time() -> None:
    origin = Scripted(Reading(None))
    registry = origin.registry(RegistryLimits(ttl=60, negative_ttl=20))
    assert await registry.find(ALICE, URL) == Finding(None, 20)
    origin.now = NOW + 9_999
    assert (await registry.find(ALICE, URL)).ttl == 10
    assert len(origin.asked) == 1
    origin.now = NOW + 10_000
    origin.reading = Reading(HERS)
    assert (await registry.find(ALICE, URL)).records == HERS


async def test_what_has_less_than_a_second_left_is_not_told() -> None:
    with pytest.raises(RegistryDown):
        await Scripted(Reading(HERS, NOW + 999)).registry().find(ALICE, URL)


async def test_other_records_are_another_question_unless_the_origin_gives_all() -> None:
    for whole, asked in ((False, [URL, OTHER]), (True, [Wanted()])):
        origin = Scripted(Reading(HERS), whole=whole)
        registry = origin.registry()
        for wanted in (URL, OTHER, URL, OTHER):
            await registry.find(ALICE, wanted)
        assert [wanted for _, wanted in origin.asked] == asked


async def test_an_outage_is_an_error_and_not_remembered() -> None:
    origin = Scripted(FetchFailed("gone"))
    registry = origin.registry()
    for _ in range(2):
        with pytest.raises(FetchFailed):
            await registry.find(ALICE, URL)
    origin.reading = Reading(HERS)
    assert (await registry.find(ALICE, URL)).records == HERS


async def test_during_an_outage_what_is_known_is_told_to_its_end_and_then_it_is_an_error() -> None:
    origin = Scripted(Reading(HERS))
    registry = origin.registry(RegistryLimits(ttl=60))
    await registry.find(ALICE, URL)
    origin.reading = FetchFailed("gone")
    for passed, left in ((30_000, 30), (55_000, 5)):
        origin.now = NOW + passed
        assert await registry.find(ALICE, URL) == Finding(HERS, left)
    assert len(origin.asked) == 3, "it is asked for anew each time"
    for passed in (55_001, 60_000, 200_000):
        origin.now = NOW + passed
        with pytest.raises(FetchFailed):
            await registry.find(ALICE, URL)
    origin.now, origin.reading = NOW + 200_001, Reading(None)
    assert (await registry.find(ALICE, URL)).records is None


async def test_an_answer_that_is_not_believed_ends_what_was_known() -> None:
    origin = Scripted(Reading(HERS))
    registry = origin.registry(RegistryLimits(ttl=60))
    await registry.find(ALICE, URL)
    origin.now, origin.reading = NOW + 30_000, BadRegistryAnswer("no signature")
    for _ in range(2):
        with pytest.raises(BadRegistryAnswer):
            await registry.find(ALICE, URL)
    assert len(origin.asked) == 2


async def test_an_answer_that_is_not_believed_is_not_asked_for_again_at_once() -> None:
    origin = Scripted(BadRegistryAnswer("no signature"))
    registry = origin.registry()
    for _ in range(3):
        with pytest.raises(BadRegistryAnswer, match="no signature"):
            await registry.find(ALICE, URL)
    assert len(origin.asked) == 1
    origin.now, origin.reading = NOW + 5_000, Reading(HERS)
    assert (await registry.find(ALICE, URL)).records == HERS


async def test_a_refusal_without_proof_is_passed_on_for_the_negative_time() -> None:
    origin = Scripted(UnknownName("404"))
    registry = origin.registry(RegistryLimits(negative_ttl=20))
    for _ in range(2):
        with pytest.raises(UnknownName):
            await registry.find(ALICE, URL)
    assert len(origin.asked) == 1
    origin.now, origin.reading = NOW + 10_000, Reading(HERS)
    assert (await registry.find(ALICE, URL)).records == HERS


async def test_one_question_is_asked_once_however_many_wait() -> None:
    origin = Scripted(Reading(HERS))
    origin.gate.clear()
    registry = origin.registry()
    waiting = [asyncio.create_task(registry.find(ALICE, URL)) for _ in range(20)]
    await asyncio.sleep(0)
    origin.gate.set()
    assert {(await each).ttl for each in waiting} == {60}
    assert len(origin.asked) == 1


async def test_more_look_ups_than_allowed_are_refused_at_once() -> None:
    origin = Scripted(Reading(HERS))
    origin.gate.clear()
    registry = origin.registry(RegistryLimits(concurrency=2))
    names = [EnsName(f"{label}.gno.gw.eth") for label in "abc"]
    waiting = [asyncio.create_task(registry.find(name, URL)) for name in names[:2]]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(RegistryDown, match="2 look-ups"):
        await registry.find(names[2], URL)
    origin.gate.set()
    await asyncio.gather(*waiting)
    assert (await registry.find(names[2], URL)).records == HERS


async def test_memory_is_bounded_by_bytes() -> None:
    origin = Scripted(Reading(NameRecords(texts={"url": "x" * 10_000})))
    registry = origin.registry(RegistryLimits(cache_bytes=200_000))
    names = [EnsName(f"{number}.gno.gw.eth") for number in range(10)]
    for name in names:
        await registry.find(name, URL)
    await registry.find(names[-1], URL)
    assert len(origin.asked) == 10
    await registry.find(names[0], URL)
    assert len(origin.asked) == 11


@pytest.mark.parametrize("found", [Reading(None), Reading(HERS)])
async def test_what_strangers_ask_for_counts(found: Reading) -> None:
    """Keys are theirs to choose, also of names that are not there."""
    origin = Scripted(found)
    registry = origin.registry(RegistryLimits(cache_bytes=200_000))
    asked = [Wanted(texts=frozenset(f"{number} {key}" + "x" * 1_000 for key in range(10))) for number in range(10)]
    for wanted in asked:
        await registry.find(ALICE, wanted)
    await registry.find(ALICE, asked[-1])
    assert len(origin.asked) == 10
    await registry.find(ALICE, asked[0])
    assert len(origin.asked) == 11, "four of them fit"


async def test_an_answer_larger_than_all_memory_is_still_an_answer() -> None:
    origin = Scripted(Reading(NameRecords(texts={"url": "x" * 10_000})))
    assert (await origin.registry(RegistryLimits(cache_bytes=5_000)).find(ALICE, URL)).ttl == 60
