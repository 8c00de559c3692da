"""Privacy routing as a whole: relays of different operators in one process, a sender outside, a recipient at the end.

What each relay received, stored and logged is searched for what it must not know. The relays work one after the other,
so that everything is seen while it is there. The sender's submission comes from an address of its own (127.0.0.77);
names are looked up from 127.0.0.1, as through a resolver that the sender trusts: look-ups are no part of what layers
can hide, and gateway/relay/README.md says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from gateway.demo.chain.running import RunningChain, running_chain
from gateway.dm3.envelope import canonical_envelope, parse_envelope, verify_envelope
from gateway.dm3.layer_sizes import SIZE_CLASSES, sealed_length
from gateway.dm3.layers import wrap
from gateway.ens import relays
from gateway.errors import InvalidInput
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.relay.forward import decode_forward
from gateway.web.server import HttpServer, listen
from gateway.work import results
from tests.integration.relay.envelopes import sealed
from tests.integration.relay.forwarding import forward_jobs, forwarding_house, hop_of
from tests.support.evidence import Evidence, address_spellings, spellings
from tests.support.house import House
from tests.support.waiting import mail_of, until

SENDER, RECIPIENT = EnsName("secret-sender.eth"), EnsName("secret-recipient.eth")
ORIGIN = "127.0.0.77"
QUIET = ("httpx2", "httpcore2", "web3", "asyncio")
TEXT = "a text that is nobody's business"


@dataclass
class World:
    """Houses with their evidence, in the order of the chain; the last one is the recipient's delivery service."""

    houses: list[House]
    evidence: list[Evidence]
    alice: Dm3Client
    bob: Dm3Client
    logs: list[Any] = field(default_factory=list)

    @property
    def people(self) -> tuple[bytes, ...]:
        """Whatever names sender, recipient or what one told the other."""
        return (
            *spellings(SENDER),
            *spellings(RECIPIENT),
            *address_spellings(self.alice.address),
            *address_spellings(self.bob.address),
            TEXT.encode(),
        )


@asynccontextmanager
async def world(folder: Path, names: tuple[str, ...]) -> AsyncIterator[World]:
    """A house for each name; nobody works yet."""
    async with AsyncExitStack() as stack:
        chain: RunningChain = await stack.enter_async_context(running_chain())
        houses, evidence = [], []
        for name in names:
            seen = Evidence()
            house = forwarding_house(folder / name, chain=chain, parent=EnsName(f"{name}.eth"), around=seen.around)
            houses.append(await stack.enter_async_context(house))
            evidence.append(seen)
        alice = await houses[0].native(SENDER, "alice", service=EnsName("ds.elsewhere.eth"))
        bob = await houses[-1].native(RECIPIENT, "bob")
        yield World(houses, evidence, alice, bob)


async def submit(world: World, through: list[House]) -> None:
    """The sender wraps an envelope for the recipient and hands it to the first relay, from the sender's own address."""
    destination = world.houses[-1]
    envelope = canonical_envelope(sealed(destination, world.alice, world.bob, text=TEXT))
    name = destination.gateway.service_name
    layer = wrap(envelope, [hop_of(each) for each in through], destination=name, now=now_ms())
    call = {"jsonrpc": "2.0", "id": 1, "method": "dm3_forward", "params": [layer]}
    transport = httpx2.AsyncHTTPTransport(local_address=ORIGIN)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as outside:
        answer = await outside.post(f"{through[0].url}/ds/rpc", json=call)
    assert answer.status_code == 200, answer.text


async def pass_on(world: World, place: int) -> None:
    """Let one relay work until it has nothing left, and look at it before and after."""
    house, seen = world.houses[place], world.evidence[place]
    assert await forward_jobs(house), "there is something to be found"
    seen.look(house)
    await house.gateway.start()

    async def nothing_left() -> bool | None:
        return not await forward_jobs(house) or None

    await until(nothing_left)
    seen.look(house)


async def arrived(world: World) -> None:
    (received,) = await mail_of(world.bob)
    assert received.verified
    assert (received.sender, received.message.text) == (SENDER, TEXT)
    world.evidence[-1].look(world.houses[-1])


def written(caplog: pytest.LogCaptureFixture) -> str:
    """What the loggers of libraries said, as far as `set_up_logging` lets it through."""
    return "\n".join(
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING or not record.name.startswith(QUIET)
    )


def of_relays(heard: list[Any]) -> list[Any]:
    """Requests but for those that look up names."""
    return [each for each in heard if not each.path.startswith("/ccip")]


async def test_three_relays_the_last_of_which_is_the_recipients(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """None but the last learns the recipient, none but the first learns where the sender is."""
    caplog.set_level(logging.DEBUG)
    async with world(tmp_path, ("one", "two", "three")) as all_:
        first, second, last = all_.evidence
        with structlog.testing.capture_logs() as logs:
            await submit(all_, all_.houses)
            await pass_on(all_, 0)
            await pass_on(all_, 1)
        own_words = json.dumps(logs, default=str) + written(caplog)
        with structlog.testing.capture_logs() as last_words:
            await pass_on(all_, 2)
            await arrived(all_)

        for seen in (first, second):
            assert not seen.holds(*all_.people)
        assert last.holds(RECIPIENT.encode()), "the search finds what is there"
        assert last.holds(SENDER.encode()), "the recipient's own service opens the delivery information"
        assert not last.holds(TEXT.encode())
        assert not any(word in own_words for word in (SENDER, RECIPIENT, TEXT, all_.alice.address, all_.bob.address))

        assert ORIGIN in first.clients()
        for seen in (second, last):
            assert ORIGIN not in seen.clients()
            assert not seen.holds(ORIGIN.encode())
        assert not any(ORIGIN in words for words in (own_words, json.dumps(last_words, default=str)))
        assert not any(ORIGIN.encode() in part for part in first.stored), "heard, and not written down"


async def test_the_recipients_service_behind_three_relays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No relay but the last learns which service it is, and none of them who writes to whom."""
    caplog.set_level(logging.DEBUG)
    async with world(tmp_path, ("one", "two", "three", "four")) as all_:
        with structlog.testing.capture_logs() as logs:
            await submit(all_, all_.houses[:3])
            for place in range(3):
                await pass_on(all_, place)
        await arrived(all_)
        passing, service = all_.evidence[:3], all_.evidence[3]
        for seen in passing:
            assert not seen.holds(*all_.people)
        destination = all_.houses[3].gateway.service_name
        address = all_.houses[3].url.encode()
        key = all_.houses[3].gateway.service_profile.to_json()["publicEncryptionKey"]
        wanted = (*spellings(destination), address, str(key).encode())
        assert [seen.holds(*wanted) for seen in passing] == [False, False, True]
        names = [house.gateway.service_name for house in all_.houses]
        # Of the others, each was told one: the next.
        told = [
            [name for name in names if name != own and seen.holds(*spellings(name))]
            for own, seen in zip(names, passing, strict=False)
        ]
        assert told == [["ds.two.eth"], ["ds.three.eth"], ["ds.four.eth"]]
        for seen in (*passing[1:], service):
            assert ORIGIN not in seen.clients()
            assert not seen.holds(ORIGIN.encode())
        own_words = json.dumps(logs, default=str) + written(caplog)
        assert not any(word in own_words for word in (SENDER, RECIPIENT, ORIGIN, destination, TEXT))


async def test_what_the_last_relay_can_do_all_the_same(tmp_path: Path) -> None:
    """It holds the envelope, and so can check a guess at the sender, whose profile is public; the others cannot."""
    async with world(tmp_path, ("one", "two", "three")) as all_:
        await submit(all_, all_.houses[:2])
        guess = all_.alice.signed_profile().profile.public_signing_key
        [first] = await forward_jobs(all_.houses[0])
        with pytest.raises(InvalidInput):
            parse_envelope(decode_forward(first.payload).payload)
        await pass_on(all_, 0)
        [last] = await forward_jobs(all_.houses[1])
        assert verify_envelope(parse_envelope(decode_forward(last.payload).payload), guess)


async def test_sizes_on_the_way_say_little(tmp_path: Path) -> None:
    """What travels between relays is of the list of sizes; headers are the same for everybody."""
    async with world(tmp_path, ("one", "two", "three")) as all_:
        await submit(all_, all_.houses)
        for place in range(3):
            await pass_on(all_, place)
        await arrived(all_)
        sizes = []
        for seen in all_.evidence:
            [heard] = [each for each in of_relays(seen.requests) if b"dm3_forward" in each.body]
            [layer] = json.loads(bytes(heard.body))["params"]
            sizes.append(SIZE_CLASSES.index(next(b for b in SIZE_CLASSES if sealed_length(b) == len(layer))))
        assert sizes == [sizes[0], sizes[0] - 1, sizes[0] - 2]
        between = [each for seen in all_.evidence[1:] for each in of_relays(seen.requests) if each.client != ORIGIN]
        agents = {line for each in between for line in each.head.splitlines() if line.startswith(b"user-agent")}
        assert b"user-agent: dm3-gateway" in agents
        assert not any(name in each.head for each in between for name in (b"forwarded", b"x-real-ip", b"via:"))


async def test_many_senders_and_a_delay_come_out_in_another_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first relay is asked to wait: what came first need not leave first."""
    waits = iter([3000, 0])
    monkeypatch.setattr("gateway.relay.forward.Forwarding._delay_ms", lambda *_: next(waits, 0))
    async with world(tmp_path, ("one", "two")) as all_:
        one, two = all_.houses
        for number in range(2):
            envelope = canonical_envelope(sealed(two, all_.alice, all_.bob, text=f"number {number}"))
            layer = wrap(envelope, [hop_of(one)], destination=two.gateway.service_name, now=now_ms())
            call = {"jsonrpc": "2.0", "id": 1, "method": "dm3_forward", "params": [layer]}
            assert (await one.http.post(f"{one.url}/rpc", json=call)).status_code == 200
        await one.gateway.start()
        received = await mail_of(all_.bob, 2)
        assert [each.message.text for each in received] == ["number 1", "number 0"]


async def test_a_middle_relay_that_is_down_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker and its port are dead; the layer waits at the first relay and goes on when it is back."""
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (0.05,) * 6)
    monkeypatch.setattr(relays, "SILENCE_SECONDS", 0.05)
    async with world(tmp_path, ("one", "two", "three")) as all_:
        one, two, three = all_.houses
        # The chain of two's name leads to two's own resolver: it is asked while it is still there.
        await one.gateway.directory._profiles.delivery_service(two.gateway.service_name)
        port = int(two.url.rpartition(":")[2])
        await two.server.stop()
        await submit(all_, [one, two, three])
        await one.gateway.start()

        async def tried() -> bool | None:
            [job] = await forward_jobs(one)
            return job.attempts >= 3 or None

        await until(tried)
        server = HttpServer(two.gateway.app, listen("127.0.0.1", port))
        await server.start()
        try:
            await two.gateway.start()
            await three.gateway.start()
            (received,) = await mail_of(all_.bob)
            assert received.message.text == TEXT
        finally:
            await server.stop()
