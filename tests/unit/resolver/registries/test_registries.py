"""Registries in their order behind our own records, as the resolver signs what they say."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode

from gateway.errors import BadRegistryAnswer, FetchFailed, InvalidInput, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.resolver.records import NameRecords
from gateway.resolver.registries.registries import Registries
from gateway.resolver.registries.registry import Reading, RegistryLimits
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner
from gateway.resolver.sources import Fixed
from tests.unit.resolver import support
from tests.unit.resolver.registries.origins import ALICE, NOW, PARENT, Scripted

SENDER = EthAddress("0x" + "ab" * 20)
OWN = EnsName("own.gno.gw.eth")
HERS = Reading(NameRecords(texts={"url": "hers"}))


def resolver(*origins: Scripted, zone: str = "gno.gw.eth") -> Resolver:
    own = Fixed({OWN: NameRecords(texts={"url": "own"}), EnsName("bob.gw.eth"): NameRecords(texts={"url": "bob"})})
    limits = RegistryLimits(ttl=60, negative_ttl=20)
    return Resolver(
        [own],
        KeySigner.of(b"\x07" * 32),
        [SENDER],
        300,
        [PARENT],
        clock=lambda: NOW / 1000,
        registries=Registries(origin.registry(limits, EnsName(zone)) for origin in origins),
    )


async def ask(asked: Resolver, name: str, key: str = "url", *, followed: bool = False) -> tuple[str, int]:
    """The text and the life of the signature in seconds."""
    answer = await asked.answer(SENDER, support.resolve(name, support.text(name, key)), followed=followed)
    result, expires, _ = decode(["bytes", "uint64", "bytes"], answer.data)
    assert answer.ttl == expires - NOW // 1000
    return decode(["string"], result)[0], expires - NOW // 1000


async def test_the_first_that_knows_a_name_speaks_for_it() -> None:
    first, second = Scripted(HERS), Scripted(Reading(NameRecords(texts={"url": "second", "avatar": "x"})))
    assert await ask(resolver(first, second), ALICE) == ("hers", 60)
    assert await ask(resolver(first, second), ALICE, "avatar") == ("", 60)
    assert second.asked == []
    assert (await ask(resolver(second, first), ALICE))[0] == "second"


async def test_the_next_is_asked_when_one_is_sure_and_its_word_bounds_the_answer() -> None:
    first, second = Scripted(Reading(None)), Scripted(HERS)
    assert await ask(resolver(first, second), ALICE) == ("hers", 20)
    assert len(first.asked) == len(second.asked) == 1


async def test_nobody_who_knows_it_is_a_signed_empty_for_the_negative_time() -> None:
    assert await ask(resolver(Scripted(Reading(None)), Scripted(Reading(None))), ALICE) == ("", 20)


@pytest.mark.parametrize("error", [FetchFailed("down"), BadRegistryAnswer("unsigned"), UnknownName("404")])
async def test_one_that_is_down_is_an_error_and_no_later_one_speaks_for_its_names(error: Exception) -> None:
    second = Scripted(HERS)
    with pytest.raises(type(error)):
        await ask(resolver(Scripted(error), second), ALICE)
    assert second.asked == []


async def test_our_own_names_and_other_zones_do_not_notice() -> None:
    down = Scripted(FetchFailed("down"))
    asked = resolver(down)
    assert await ask(asked, OWN) == ("own", 300)
    assert await ask(asked, "bob.gw.eth") == ("bob", 300)
    assert await ask(asked, "nobody.gw.eth") == ("", 300)
    assert await ask(asked, "gno.gw.eth") == ("", 300)
    assert down.asked == []


async def test_a_call_that_we_refuse_is_not_passed_on() -> None:
    origin = Scripted(HERS)
    with pytest.raises(InvalidInput):
        await resolver(origin).answer(SENDER, support.resolve(ALICE, support.text("bob.gno.gw.eth", "url")))
    assert origin.asked == []


async def test_what_another_gateway_follows_here_is_not_followed_on() -> None:
    leading, held = Scripted(HERS, follows=True), Scripted(HERS)
    assert await ask(resolver(held), ALICE, followed=True) == ("hers", 60)
    with pytest.raises(UnknownName):
        await ask(resolver(leading), ALICE, followed=True)
    assert leading.asked == []
    assert await ask(resolver(leading), OWN, followed=True) == ("own", 300)
