"""Peers that hold connections open and say little: all are hung up on in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway import bodies as body_module
from gateway.bodies import Bodies
from gateway.operations.dm3_client import Dm3Client
from gateway.relay.socket_guard import LOG_IN_SECONDS
from gateway.web import deadline as deadline_module
from gateway.web import server as server_module
from gateway.web.crowd import Crowd
from gateway.web.server import HttpServer, listen
from tests.integration.relay.clients import submit
from tests.support.house import House, running_house

SLOW = 40
"""Connections of each form."""
BOUND = 10.0
"""Seconds within which all must be closed; the deadlines of these tests are half of the real ones.

Not less: one event loop has both sides of hundreds of connections, on a machine that may stand still for 4 s, and an
honest client that waits for so long for its turn must not count as slow.
"""
PER_ADDRESS = 150
HOST = b"Host: gw.example\r\n"


@dataclass(frozen=True, slots=True)
class Form:
    """What a slow peer sends first, then again and again, and how much of it."""

    first: bytes
    then: bytes = b""


FORMS = {
    "nothing": Form(b""),
    "half a line": Form(b"GET / HT"),
    "a head without end": Form(b"GET / HTTP/1.1\r\n" + HOST, b"x: y\r\n"),
    "a body that never comes": Form(b"POST /ds/rpc HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n"),
    "a body that drips": Form(b"POST /ds/rpc HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n", b" "),
    "a body that drips in chunks": Form(
        b"POST /ds/auth/alice.eth HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"
    ),
    "a body that nobody wants": Form(b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n", b" "),
    "one request and no other": Form(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
}


@pytest.fixture(params=[HttpToolsProtocol, H11Protocol], ids=["httptools", "h11"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "AutoHTTPProtocol", request.param)


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: None) -> AsyncIterator[House]:
    """A gateway whose patience is half of what it is."""

    def scaled(defaults: dict[str, Any] | None, **values: Any) -> None:
        assert defaults is not None
        for key, value in values.items():
            assert key in defaults
            monkeypatch.setitem(defaults, key, value)

    scaled(HttpServer.__init__.__kwdefaults__, head_seconds=5.0, connections_per_address=PER_ADDRESS)
    scaled(Bodies.__init__.__kwdefaults__, slow_seconds=4.0)
    monkeypatch.setattr(server_module, "KEEP_ALIVE_SECONDS", 5)
    monkeypatch.setattr(deadline_module, "LINGER_SECONDS", 1.0)
    limits = {f"DM3_GATEWAY__RELAY__{key}_PER_MINUTE": "0" for key in ("CALLS", "LOG_INS")}
    async with running_house(tmp_path / "house", working=False, overrides=limits) as running:
        yield running


def addresses() -> Iterator[str]:
    """Addresses of this machine other than that of its ordinary clients, each for some connections."""
    while True:
        for number in range(2, 10):
            yield f"127.0.0.{number}"


async def connection(port: int, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))


async def seconds_until_hung_up_on(port: int, address: str, form: Form) -> float:
    """How long a peer of this form is put up with, by turns of the event loop: this machine may stand still."""
    reader, writer = await connection(port, address)
    turns, turn = 0, 0.1
    ended = asyncio.create_task(reader.read())
    with contextlib.suppress(ConnectionError):
        writer.write(form.first)
        while not ended.done():
            writer.write(form.then)
            await asyncio.wait({ended}, timeout=turn)
            turns += 1
    await asyncio.gather(ended, return_exceptions=True)
    writer.close()
    return turns * turn


@pytest.mark.attack(32)
@pytest.mark.weakness(15)
async def test_hundreds_of_slow_peers_are_hung_up_on_while_others_are_served(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    port = int(house.url.rpartition(":")[2])
    where = addresses()
    slow = [
        asyncio.create_task(seconds_until_hung_up_on(port, next(where), form))
        for form in FORMS.values()
        for _ in range(SLOW)
    ]
    served = 0
    async with asyncio.timeout(60), httpx2.AsyncClient(trust_env=False, timeout=60) as fresh:
        while not all(task.done() for task in slow):
            for client in (house.http, fresh):
                answer = await client.get(f"{house.url}/ds/hello", headers={"connection": "close"})
                assert answer.status_code == 200
                served += 1
            await submit(house, alice, bob, str(served))
    patience = {name: max(task.result() for task in slow[n * SLOW : (n + 1) * SLOW]) for n, name in enumerate(FORMS)}
    assert len(slow) == SLOW * len(FORMS) >= 300
    assert max(patience.values()) < BOUND, patience
    assert served >= 4


@pytest.mark.attack(32)
@pytest.mark.weakness(15)
async def test_one_address_cannot_take_all_connections(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """What is above its share is told so and closed, whatever it sends; others connect as before."""
    port = int(house.url.rpartition(":")[2])
    opened = await asyncio.gather(*(connection(port, "127.0.0.2") for _ in range(2 * PER_ADDRESS)))
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(reader.read() for reader, _ in opened))
    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503")]
    assert len(refused) == PER_ADDRESS
    assert all(answer.endswith(b'{"error":"Too many connections from one address."}') for answer in refused)
    await submit(house, alice, bob)
    for _, writer in opened:
        writer.close()
    reader, writer = await connection(port, "127.0.0.2")
    writer.write(b"GET /ds/hello HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    async with asyncio.timeout(60):
        assert (await reader.read()).startswith(b"HTTP/1.1 200"), "its share is free again"
    writer.close()


@pytest.mark.attack(32)
async def test_an_answer_that_nobody_reads_is_given_up(protocol: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline_module, "UNREAD_SECONDS", 0.3)
    gone = asyncio.Event()

    async def generous(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        gone.set()

    server = HttpServer(generous, listen("127.0.0.1", 0))
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    async with asyncio.timeout(60):
        await gone.wait()
    writer.close()
    await server.stop()


@pytest.mark.attack(32)
def test_the_deadlines_that_hold_in_earnest() -> None:
    """Ten seconds for whatever is slow: head, idle, body, websocket."""
    assert deadline_module.HEAD_SECONDS <= BOUND
    assert server_module.KEEP_ALIVE_SECONDS <= BOUND
    assert body_module.SLOW_SECONDS + deadline_module.LINGER_SECONDS <= BOUND
    assert LOG_IN_SECONDS <= BOUND


@pytest.mark.attack(32)
def test_a_body_that_comes_gets_more_time_than_one_that_drips() -> None:
    bodies = Bodies()
    assert bodies._allowed(0) == body_module.SLOW_SECONDS
    assert bodies._allowed(10 * body_module.SLOW_BYTES) == body_module.SLOW_SECONDS + 10
    assert bodies._allowed(10**9) == body_module.BODY_SECONDS


@pytest.mark.attack(32)
@pytest.mark.parametrize(
    ("proxies", "peer", "is_counted"),
    [
        ((), "192.0.2.1", True),
        (("192.0.2.1",), "192.0.2.1", False),
        (("192.0.2.0/24",), "192.0.2.7", False),
        (("192.0.2.0/24",), "198.51.100.7", True),
        (("2001:db8::1",), "2001:db8::1", False),
        (("2001:db8::1",), "192.0.2.1", True),
        (("*",), "192.0.2.1", False),
        (("proxy.internal",), "192.0.2.1", True),
    ],
)
def test_proxies_speak_for_many(proxies: tuple[str, ...], peer: str, is_counted: bool) -> None:
    crowd = Crowd(2, proxies)
    entered = [crowd.enter((peer, 1)) for _ in range(4)]
    assert entered.count(None) == (2 if is_counted else 0)


@pytest.mark.attack(32)
def test_addresses_of_one_customer_are_one() -> None:
    crowd = Crowd(1)
    first = crowd.enter(("2001:db8::1", 1))
    assert first is not None
    assert crowd.enter(("2001:db8::2", 1)) is None
    assert crowd.enter(("2001:db8:0:1::2", 1)) is not None
    crowd.leave(first)
    assert crowd.enter(("2001:db8::2", 1)) is not None
