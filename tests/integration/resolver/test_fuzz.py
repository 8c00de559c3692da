"""Calldata from hell: a hundred thousand requests to the endpoint, and not one answer that blames us.

Structured rather than uniform: valid calls of every kind are bent, cut, spliced, nested and given shared offsets, so
that most of them are refused deep inside. 120 000 whole requests and a million names alone take about twenty seconds of
CPU; the seeds are fixed, and each failure names its own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode

from gateway.ens.names import dns_decode, dns_encode, namehash, normalise
from gateway.errors import InvalidInput, InvalidName
from gateway.ids import EnsName, EthAddress
from gateway.resolver import calls
from gateway.resolver.batch import QUERY, parse_query
from gateway.resolver.endpoint import CcipEndpoint
from gateway.resolver.records import NameRecords
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner
from gateway.resolver.sources import Fixed
from tests.unit.resolver import support

SENDER = "0x" + "ab" * 20
NAMES = (EnsName("bob.gw.eth"), EnsName("ξένος.gw.eth"), EnsName("a.b.c.d.gw.eth"), EnsName("gw.eth"))
RECORDS = NameRecords(
    address=b"\x01" * 20,
    coins={0: b"\x02" * 25},
    texts={"url": "https://example.org", "avatar": "x" * 900},
    contenthash=b"\xe3\x01",
    name="bob.gw.eth",
    pubkey=(b"\x03" * 32, b"\x04" * 32),
    abis={1: b"[]"},
    interfaces={b"\1\2\3\4": b"\x05" * 20},
    data={"agent": b"\0\xff"},
)
KINDS: tuple[Callable[[str], bytes], ...] = (
    support.addr,
    support.contenthash,
    support.name,
    support.pubkey,
    lambda name: support.coin(name, 60),
    lambda name: support.coin(name, 2**256 - 1),
    lambda name: support.text(name, "url"),
    lambda name: support.text(name, "ключ 💩" * 20),
    lambda name: support.contract_abi(name, 3),
    lambda name: support.interface(name, b"\1\2\3\4"),
    lambda name: support.data(name, "agent"),
    lambda _name: b"\xde\xad\xbe\xef",
    lambda _name: b"",
)
SELECTORS = (
    *(calls.ADDR, calls.ADDR_COIN, calls.TEXT, calls.CONTENTHASH, calls.NAME, calls.PUBKEY, calls.CONTRACT_ABI),
    *(calls.INTERFACE, calls.DATA, calls.MULTICALL, calls.RESOLVE, QUERY),
)
EDGES = (0, 1, 4, 31, 32, 33, 63, 64, 96, 127, 128, 255, 256, 2**15, 2**31, 2**32, 2**63, 2**64, 2**255, 2**256 - 1)


class Fuzz:
    """Calldata in the likeness of what clients send; ``chance`` is seeded."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def calldata(self) -> bytes:
        """One request, mostly bent."""
        name = self.chance.choice(NAMES)
        made = support.resolve(name, self.call(name, self.chance.randrange(4)))
        kind = self.chance.randrange(12)
        if kind == 0:
            return made
        if kind == 1:
            return calls.RESOLVE + self.chance.randbytes(self.chance.randrange(300))
        if kind == 2:
            return calls.RESOLVE + encode(["bytes", "bytes"], [self.wire(), self.call(name, 1)])
        return self.bent(made)

    def call(self, name: str, depth: int) -> bytes:
        """A call of a kind, or of several, some of them about another name."""
        about = self.chance.choice(NAMES) if self.chance.random() < 0.05 else name
        pick = self.chance.random()
        if depth and pick < 0.3:
            return support.multicall([self.call(name, depth - 1) for _ in range(self.chance.randrange(6))])
        if depth and pick < 0.4:
            return self.shared(self.call(name, depth - 1))
        if pick < 0.5:
            return self.chance.choice(SELECTORS) + self.chance.randbytes(self.chance.randrange(200))
        return self.chance.choice(KINDS)(about)

    def shared(self, item: bytes) -> bytes:
        """A multicall whose elements all point to the same bytes, or into each other."""
        count = self.chance.choice((1, 2, 8, 63, 64, 65, 2**20))
        written = min(count, 65)
        offset = self.chance.choice((written * 32, written * 32, 0, 32, 2**255))
        head = [32, count, *([offset] * written)]
        return calls.MULTICALL + b"".join(each.to_bytes(32, "big") for each in (*head, len(item))) + item

    def bent(self, data: bytes) -> bytes:
        """A few bytes, or words, or the end, are not what they were."""
        found = bytearray(data)
        for _ in range(self.chance.randint(1, 4)):
            at = self.chance.randrange(len(found))
            kind = self.chance.randrange(4)
            if kind == 0:
                found[at] = self.chance.choice((0, 1, 32, 64, 128, 255))
            elif kind == 1:
                word = 4 + at // 32 * 32
                found[word : word + 32] = self.chance.choice(EDGES).to_bytes(32, "big")
            elif kind == 2:
                del found[at : at + self.chance.choice((1, 31, 32))]
            else:
                found[at:at] = self.chance.randbytes(self.chance.choice((1, 31, 32)))
            if not found:
                break
        return bytes(found[: self.chance.choice((len(found), len(found), self.chance.randrange(len(found) + 1)))])

    def wire(self) -> bytes:
        """A name in DNS form, bent or made up."""
        kind = self.chance.randrange(4)
        if kind == 0:
            return self.chance.randbytes(self.chance.randrange(40))
        labels = [
            self.chance.choice((b"bob", b"gw", b"eth", b"", b"a.b", b"a\0b", b"BOB", "ß".encode(), b"\xff", b"x" * 80))
            if self.chance.random() < 0.5
            else self.chance.choice(NAMES).split(".")[0].encode()
            for _ in range(self.chance.randrange(6))
        ]
        found = b"".join(bytes([len(label)]) + label for label in labels) + self.chance.choice(
            (b"\0", b"\0", b"", b"\0x")
        )
        return self.bent(found) if found and kind == 1 else found


def endpoint() -> CcipEndpoint:
    source = Fixed(dict.fromkeys(NAMES, RECORDS))
    return CcipEndpoint(Resolver([source], KeySigner.of(b"\x07" * 32), [EthAddress(SENDER)], 300, [EnsName("gw.eth")]))


async def status_of(app: CcipEndpoint, path: str) -> int:
    """The endpoint as a server calls it."""
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("a GET has no body")

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize("seed", range(8))
async def test_calldata_never_makes_a_5xx(seed: int) -> None:
    """15 000 requests for each seed, 120 000 in all."""
    fuzz, app = Fuzz(random.Random(seed)), endpoint()
    found: Counter[int] = Counter()
    for _ in range(15_000):
        calldata = fuzz.calldata()
        status = await status_of(app, f"/ccip/{SENDER}/0x{calldata.hex()}.json")
        assert status in (200, 400, 404, 413), f"seed {seed}: {status} for {calldata.hex()}"
        found[status] += 1
    # Both ends are reached, or the fuzzing would show nothing.
    assert found[200] > 1_000
    assert found[400] > 5_000
    assert found[404] > 5


async def test_paths_never_make_a_5xx() -> None:
    """The hex and the sender around the calldata."""
    chance, app = random.Random(1), endpoint()
    good = f"/ccip/{SENDER}/0x{support.resolve(NAMES[0], support.addr(NAMES[0])).hex()}.json"
    for _ in range(10_000):
        bent = list(good)
        for _ in range(chance.randint(1, 3)):
            bent[chance.randrange(len(bent))] = chance.choice("0xX/.%g \0\n?#ü💩\udcff{}")
        assert await status_of(app, "".join(bent)) in (200, 400, 404)


@pytest.mark.attack(21)
@pytest.mark.parametrize("seed", range(4))
def test_names_in_dns_form_are_read_or_refused(seed: int) -> None:
    """250 000 forms for each seed; what is read is in normal form and gives back the bytes that were read."""
    fuzz = Fuzz(random.Random(1_000 + seed))
    read = refused = 0
    for _ in range(250_000):
        wire = fuzz.wire()
        try:
            name = dns_decode(wire)
        except InvalidName:
            refused += 1
            continue
        read += 1
        assert normalise(name) == name
        assert dns_encode(name) == wire
        assert len(namehash(name)) == 32
    assert read > 10_000
    assert refused > 50_000


def test_batches_are_read_or_refused() -> None:
    """The same for the calldata of a batch gateway."""
    fuzz = Fuzz(random.Random(2))
    items = [(SENDER, ["https://gw.example/{sender}/{data}"], b"\1" * 40), (SENDER, [], b"")]
    good = QUERY + encode(["(address,string[],bytes)[]"], [items])
    read = refused = 0
    for _ in range(30_000):
        try:
            parse_query(fuzz.bent(good))
            read += 1
        except InvalidInput:
            refused += 1
    assert read > 1_000
    assert refused > 1_000
