"""The resolver: whom it answers, about what, and that its answers can be checked."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from eth_abi.abi import decode

from gateway.dm3.eth import recover
from gateway.errors import InvalidInput, NotFound, Unavailable, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.resolver.records import NameRecords
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner, answer_digest
from gateway.resolver.sources import Fixed
from tests.unit.resolver import support

SENDER = EthAddress("0x" + "ab" * 20)
SIGNER = KeySigner.of(b"\x07" * 32)
BOB, DS, PARENT = EnsName("bob.gw.eth"), EnsName("ds.gw.eth"), EnsName("gw.eth")
NOW = 1_800_000_000


class Broken:
    """A source whose database is gone."""

    async def find(self, name: EnsName) -> NameRecords | None:
        """Fails."""
        raise Unavailable("database")


def make(*sources: Fixed | Broken, ttl: int = 300) -> Resolver:
    return Resolver(sources, SIGNER, [EthAddress("0x" + "AB" * 20)], ttl, [PARENT], clock=lambda: NOW + 0.9)


FIRST = Fixed({BOB: NameRecords(texts={"url": "first"}), DS: NameRecords(texts={"url": "ds"}, ttl=20)})
SECOND = Fixed({BOB: NameRecords(texts={"url": "second"}), PARENT: NameRecords(texts={"url": "parent"})})


async def ask(resolver: Resolver, calldata: bytes) -> tuple[bytes, int]:
    """The result and expiry of an answer whose signature was checked as the contract does."""
    answer = await resolver.answer(SENDER, calldata)
    result, expires, signature = decode(["bytes", "uint64", "bytes"], answer.data)
    assert answer.ttl == expires - NOW
    assert recover(answer_digest(SENDER, expires, calldata, result), signature) == SIGNER.address
    return result, expires


@pytest.mark.parametrize(
    ("name", "text"),
    [("bob.gw.eth", "first"), ("ds.gw.eth", "ds"), ("gw.eth", "parent"), ("no.gw.eth", ""), ("a.b.c.gw.eth", "")],
)
async def test_texts_of_our_names(name: str, text: str) -> None:
    result, _ = await ask(make(FIRST, SECOND), support.resolve(name, support.text(name, "url")))
    assert decode(["string"], result) == (text,)


@pytest.mark.weakness(20)
async def test_names_that_nobody_has_get_signed_empties() -> None:
    resolver = make(FIRST)
    name = "nobody.gw.eth"
    assert await ask(resolver, support.resolve(name, support.addr(name))) == (bytes(32), NOW + 300)
    result, _ = await ask(resolver, support.resolve(name, support.coin(name, 0)))
    assert decode(["bytes"], result) == (b"",)
    result, _ = await ask(resolver, support.resolve(name, b"\xde\xad\xbe\xef"))
    assert result == b""


@pytest.mark.weakness(20)
async def test_life_of_a_signature() -> None:
    resolver = make(FIRST, ttl=60)
    assert (await ask(resolver, support.resolve(BOB, support.addr(BOB))))[1] == NOW + 60
    assert (await ask(resolver, support.resolve(DS, support.addr(DS))))[1] == NOW + 20


@pytest.mark.parametrize("name", ["eth", "alice.eth", "xgw.eth", "gw.eth.evil.eth", "bob.gw.eth.evil"])
async def test_names_of_others(name: str) -> None:
    with pytest.raises(UnknownName):
        await make(FIRST).answer(SENDER, support.resolve(name, support.addr(name)))


async def test_contracts_of_others() -> None:
    with pytest.raises(NotFound):
        await make(FIRST).answer(EthAddress("0x" + "cd" * 20), support.resolve(BOB, support.addr(BOB)))


async def test_a_call_about_another_name() -> None:
    with pytest.raises(InvalidInput):
        await make(FIRST).answer(SENDER, support.resolve(BOB, support.addr(DS)))
    with pytest.raises(InvalidInput):
        await make(FIRST).answer(SENDER, support.resolve(BOB, support.multicall([support.addr(DS)])))


async def test_a_result_too_long_for_the_contract() -> None:
    long = Fixed({BOB: NameRecords(texts={"a": "x" * 40_000})})
    one = support.text(BOB, "a")
    result, _ = await ask(make(long), support.resolve(BOB, one))
    assert len(decode(["string"], result)[0]) == 40_000
    with pytest.raises(InvalidInput, match="ask for less"):
        await make(long).answer(SENDER, support.resolve(BOB, support.multicall([one, one])))


async def test_a_broken_source_gives_no_empty_answer() -> None:
    with pytest.raises(Unavailable):
        await make(Broken(), FIRST).answer(SENDER, support.resolve(BOB, support.addr(BOB)))


@dataclass
class CountingSigner:
    """Signs as `SIGNER` does, and counts."""

    signed: int = 0
    address: EthAddress = SIGNER.address

    async def sign(self, digest: bytes) -> bytes:
        """See Signer."""
        self.signed += 1
        return await SIGNER.sign(digest)


@dataclass
class Changing:
    """A source whose records change."""

    text: str

    async def find(self, _name: EnsName) -> NameRecords | None:
        """The records of now."""
        return NameRecords(texts={"url": self.text})


async def test_the_same_answer_is_signed_once_and_another_one_anew() -> None:
    """Whatever differs (records, the second, what is asked, the contract) has a signature of its own."""
    source, signer, now = Changing("1"), CountingSigner(), [NOW + 0.2]
    other = EthAddress("0x" + "cd" * 20)
    resolver = Resolver([source], signer, [SENDER, other], 300, [PARENT], clock=lambda: now[0])
    url, address = support.resolve(BOB, support.text(BOB, "url")), support.resolve(BOB, support.addr(BOB))

    async def text_of(calldata: bytes = url, sender: EthAddress = SENDER) -> str:
        answer = await resolver.answer(sender, calldata)
        result, expires, signature = decode(["bytes", "uint64", "bytes"], answer.data)
        assert expires == int(now[0]) + 300
        assert recover(answer_digest(sender, expires, calldata, result), signature) == SIGNER.address
        return str(decode(["string"], result)[0]) if calldata == url else ""

    assert [await text_of() for _ in range(5)] == ["1"] * 5
    assert signer.signed == 1
    source.text = "2"
    assert (await text_of(), signer.signed) == ("2", 2)
    now[0] += 0.9
    assert (await text_of(), signer.signed) == ("2", 3)
    await text_of(address)
    await text_of(sender=other)
    assert signer.signed == 5
    source.text = "long" * 1_000
    assert [await text_of() for _ in range(2)] == ["long" * 1_000] * 2
    assert signer.signed == 7
