"""A web registry over a real socket: what is believed, what is not, and what an outage of it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from eth_abi.abi import decode

from gateway.ens.egress import GuardedClient
from gateway.errors import BadRegistryAnswer, FetchFailed, RegistryDown
from gateway.ids import EnsName, EthAddress
from gateway.resolver.endpoint import CcipEndpoint
from gateway.resolver.records import NameRecords
from gateway.resolver.registries.breaker import Breaker, BreakerLimits
from gateway.resolver.registries.document import MAX_DOCUMENT
from gateway.resolver.registries.http_registry import HttpOrigin
from gateway.resolver.registries.registries import Registries
from gateway.resolver.registries.registry import Registry, RegistryLimits
from gateway.resolver.registries.wanted import Wanted
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner
from gateway.resolver.sources import Fixed
from tests.integration.ens.servers import Asked, Script, Server, answering, response, scripted, silence
from tests.support.asgi import serving
from tests.unit.resolver import support
from tests.unit.resolver.registries.documents import NOW, REGISTRY, STRANGER, body

ALICE, PARENT = EnsName("alice.gno.gw.eth"), EnsName("gw.eth")
THERE = "alice.gno.eth"
SENDER = EthAddress("0x" + "ab" * 20)
URL = Wanted(texts=frozenset({"url"}))


class World:
    """Clocks that stand still until they are moved, and a registry of zone ``gno`` at some servers."""

    def __init__(self, client: GuardedClient, *urls: str, timeout: float = 30) -> None:
        self.now = NOW
        self.seconds = 0.0
        limits = BreakerLimits(failures=2, rest=30)
        self.origin = HttpOrigin(
            urls,
            [EthAddress(REGISTRY.address.upper().replace("X", "x"))],
            client,
            timeout=timeout,
            breaker=lambda: Breaker(limits, clock=lambda: self.seconds),
            clock=lambda: self.now,
        )
        limits_of_answers = RegistryLimits(ttl=60, negative_ttl=20)
        self.registry = Registry(
            EnsName("gno.gw.eth"), EnsName("gno.eth"), self.origin, limits_of_answers, clock=lambda: self.now
        )
        self.resolver = Resolver(
            [Fixed({EnsName("bob.gw.eth"): NameRecords(texts={"url": "bob"})})],
            KeySigner.of(b"\x07" * 32),
            [SENDER],
            300,
            [PARENT],
            clock=lambda: self.now / 1000,
            registries=Registries([self.registry]),
        )

    async def text(self, name: EnsName = ALICE) -> str | None:
        records = (await self.registry.find(name, URL)).records
        return None if records is None else records.texts["url"]

    async def signed(self, name: str = ALICE) -> tuple[str, int]:
        """The text and the seconds for which its signature holds."""
        answer = await self.resolver.answer(SENDER, support.resolve(name, support.text(name, "url")))
        result, expires, _ = decode(["bytes", "uint64", "bytes"], answer.data)
        return decode(["string"], result)[0], expires - self.now // 1000


@pytest.fixture
async def client() -> Any:
    async with GuardedClient(allow_private=True, timeout=30) as opened:
        yield opened


def urls(*servers: Server) -> Sequence[str]:
    return [server.url("/v1/{name}.json?key=sesame") for server in servers]


def document(**changes: Any) -> Script:
    return answering(response(200, body(**changes)))


async def test_a_signed_document_is_told(client: GuardedClient) -> None:
    async with scripted(document(ttl=40)) as server:
        world = World(client, *urls(server))
        assert await world.signed() == ("https://example.org", 40)
        assert server.asked[0].path == "/v1/alice.gno.eth.json?key=sesame"


async def test_names_are_percent_encoded_in_utf_8(client: GuardedClient) -> None:
    async with scripted(document(name="ξένος 💩".replace(" ", "") + ".gno.eth")) as server:
        world = World(client, *urls(server))
        assert await world.text(EnsName("ξένος💩.gno.gw.eth")) == "https://example.org"
        assert server.asked[0].path == "/v1/%CE%BE%CE%AD%CE%BD%CE%BF%CF%82%F0%9F%92%A9.gno.eth.json?key=sesame"


@pytest.mark.parametrize(("changes", "life"), [({}, 60), ({"ttl": 15}, 15), ({"expires": NOW // 1000 + 7}, 7)])
async def test_no_signature_outlives_the_document_or_the_bound(
    client: GuardedClient, changes: dict[str, int], life: int
) -> None:
    async with scripted(document(**changes)) as server:
        world = World(client, *urls(server))
        assert (await world.signed())[1] == life
        world.now += life * 1000 // 2 - 1
        assert (await world.signed())[1] <= life
        assert len(server.asked) == 1


async def test_that_there_is_no_such_name_must_be_signed(client: GuardedClient) -> None:
    async with scripted(document(records=None)) as server:
        world = World(client, *urls(server))
        assert await world.signed() == ("", 20)
        world.now += 9_999
        assert await world.signed() == ("", 10)
        assert len(server.asked) == 1
        world.now += 1
        await world.signed()
        assert len(server.asked) == 2


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (response(200, body(key=STRANGER.key)), "not signed by the registry"),
        (response(200, b'{"name": "alice.gno.eth"}'), "not signed by the registry"),
        (response(200, body(name="bob.gno.eth")), "another name"),
        (response(200, body(name="alice.gno.gw.eth")), "another name"),
        (response(200, body(expires=NOW // 1000)), "run out"),
        (response(200, b"<html></html>", "text/html"), "content type"),
        (response(200, body(), "text/plain"), "content type"),
        (response(200, b"<html></html>"), "not JSON"),
        (response(200, b" " * MAX_DOCUMENT + body()), "more than 32768 bytes"),
        (response(200, body(), "application/json", ("Content-Encoding", "gzip")), "compressed"),
        (response(404, b"{}"), "answered 404"),
        (response(404, body(records=None)), "answered 404"),
        (response(403, b"{}"), "answered 403"),
        (response(204), "answered 204"),
        (REDIRECT, "redirects"),
    ],
)
async def test_what_is_not_believed_is_an_error_and_no_empty_answer(
    client: GuardedClient, answer: bytes, reason: str
) -> None:
    async with scripted(answering(answer)) as server:
        world = World(client, *urls(server))
        for _ in range(4):
            with pytest.raises(BadRegistryAnswer) as caught:
                await world.signed()
            assert reason in caught.value.detail
        assert len(server.asked) == 1
        # One name's bad document does not close the zone to others.
        for number in range(5):
            with pytest.raises(BadRegistryAnswer):
                await world.text(EnsName(f"n{number}.gno.gw.eth"))
        assert len(server.asked) == 6


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_busy_server_is_an_outage(client: GuardedClient, status: int) -> None:
    async with scripted(answering(response(status, b"{}"))) as server:
        with pytest.raises(FetchFailed, match=str(status)):
            await World(client, *urls(server)).text()


async def test_a_silent_server_is_given_up_and_then_left_alone_until_one_probe_succeeds(client: GuardedClient) -> None:
    answers: list[Script] = [silence]

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answers[0](asked, writer)

    async with scripted(script) as server:
        world = World(client, *urls(server), timeout=2)
        for label in "ab":
            with pytest.raises(FetchFailed, match=r"within 2 s"):
                await world.text(EnsName(f"{label}.gno.gw.eth"))
        answers[0], world.origin._timeout = document(), 30
        for _ in range(3):
            with pytest.raises(RegistryDown, match="left alone"):
                await world.text()
        assert len(server.asked) == 2
        world.seconds = 30
        assert await world.text() == "https://example.org"
        assert len(server.asked) == 3


async def test_one_that_trickles_is_given_up_too(client: GuardedClient) -> None:
    async def trickle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with scripted(trickle) as server:
        with pytest.raises(FetchFailed):
            await World(client, *urls(server), timeout=0.2).text()


async def test_a_second_server_is_asked_when_the_first_is_down_or_lies(client: GuardedClient) -> None:
    for first in (answering(response(500)), document(key=STRANGER.key), answering(REDIRECT)):
        async with scripted(first) as bad, scripted(document()) as good:
            assert await World(client, *urls(bad, good)).text() == "https://example.org"
            assert len(bad.asked) == len(good.asked) == 1


async def test_a_server_that_is_left_alone_does_not_delay_the_second(client: GuardedClient) -> None:
    async with scripted(answering(response(500))) as bad, scripted(document()) as good:
        world = World(client, *urls(bad, good))
        for _ in range(4):
            assert await world.text() == "https://example.org"
            world.now += 30_000
        assert (len(bad.asked), len(good.asked)) == (2, 4)


async def test_names_of_others_are_answered_while_a_registry_hangs(client: GuardedClient) -> None:
    async with scripted(silence) as server:
        world = World(client, *urls(server), timeout=20)
        hanging = asyncio.create_task(world.signed())
        while not server.asked:  # noqa: ASYNC110 - the server has a list only
            await asyncio.sleep(0.001)
        assert await world.signed("bob.gw.eth") == ("bob", 300)
        assert await world.signed("nobody.gw.eth") == ("", 300)
        assert not hanging.done()
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)


async def test_over_http_an_outage_is_503_and_caches_keep_an_answer_for_a_quarter_of_its_life(
    client: GuardedClient,
) -> None:
    data = support.resolve(ALICE, support.text(ALICE, "url")).hex()
    for script, status, cache in (
        (answering(response(500)), 503, "no-store"),
        (answering(response(404)), 503, "no-store"),
        (document(ttl=40), 200, "public, max-age=10"),
        (document(ttl=2), 200, "no-store"),
    ):
        async with scripted(script) as server:
            world = World(client, *urls(server))
            async with (
                serving(CcipEndpoint(world.resolver)) as port,
                httpx2.AsyncClient(trust_env=False, timeout=60) as asking,
            ):
                got = await asking.get(f"http://127.0.0.1:{port}/ccip/{SENDER}/0x{data}")
        assert (got.status_code, got.headers["cache-control"]) == (status, cache)
        assert "gno" not in got.json().get("message", "")
