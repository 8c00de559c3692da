"""What a peer can hold open: connections, unfinished heads, unfinished bodies, memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.asyncio.client import connect
from websockets.protocol import State

from gateway.bodies import Bodies
from gateway.errors import GatewayError, InvalidRequest, LimitExceeded, TooLarge
from gateway.web import server as server_module
from gateway.web.server import HttpServer, listen

ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture(params=[HttpToolsProtocol, H11Protocol])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "AutoHTTPProtocol", request.param)


@asynccontextmanager
async def serving(app: Any = hello, **bounds: Any) -> AsyncIterator[int]:
    server = HttpServer(app, listen("127.0.0.1", 0), **bounds)
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    return await reader.readexactly(5)


@pytest.mark.usefixtures("protocol")
@pytest.mark.parametrize("sent", [b"", b"GET", b"GET / HTTP/1.1\r\nhost: x\r\n"])
async def test_a_request_that_is_never_finished_is_hung_up_on(sent: bytes) -> None:
    async with serving(head_seconds=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.usefixtures("protocol")
@pytest.mark.parametrize(
    "begin",
    [b"GET / HTTP/1.1\r\nx: ", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"],
    ids=["head", "body that nobody reads"],
)
async def test_a_trickle_of_bytes_does_not_get_more_time(begin: bytes) -> None:
    async with serving(head_seconds=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begin)
        ended = asyncio.create_task(reader.read())
        async with asyncio.timeout(60):
            while not ended.done():
                writer.write(b"x")
                await asyncio.sleep(0.02)
        (answer,) = await asyncio.gather(ended, return_exceptions=True)
        assert isinstance(answer, bytes | ConnectionError), "ended by the server, with or without a last word"
        writer.close()


@pytest.mark.usefixtures("protocol")
async def test_an_idle_connection_may_ask_again_after_the_deadline() -> None:
    async with serving(head_seconds=0.5) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(ASK)
            assert await answer(reader) == b"hello"
            await asyncio.sleep(0.7)  # longer than the deadline: it must not count between requests
        writer.write(ASK[:10])
        async with asyncio.timeout(60):
            assert await reader.read() == b"", "the next head has a deadline again"
        writer.close()


@pytest.mark.usefixtures("protocol")
async def test_a_request_that_takes_longer_than_the_deadline_is_answered() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.7)
        await hello(scope, receive, send)

    async with serving(slow, head_seconds=0.5) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        assert await answer(reader) == b"hello"
        writer.close()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """A websocket that says everything back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.mark.usefixtures("protocol")
@pytest.mark.attack(32)
@pytest.mark.attack(33)
async def test_a_socket_outlives_the_deadline_of_heads() -> None:
    """Idle at first, which is where a deadline that was left running would end it, and then in use."""
    async with serving(echo, head_seconds=0.5) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await socket.recv()
        for number in range(3):
            await socket.send(f"still here {number}")
            assert await socket.recv() == f"still here {number}"
            await asyncio.sleep(0.7)
        assert socket.state is State.OPEN


@pytest.mark.usefixtures("protocol")
async def test_a_socket_behind_an_answer_on_the_same_connection_has_a_deadline_for_its_head() -> None:
    async with serving(head_seconds=0.5) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        assert await answer(reader) == b"hello"
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n")
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()


async def test_connections_above_the_limit_are_told_so() -> None:
    async with serving(connections=3) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        for _, each in [*idle, (reader, writer)]:
            each.close()


# --- bodies ---------------------------------------------------------------------------------------------------------


def receiving(*messages: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Gives these messages, then nothing for ever."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_parts() -> None:
    async with Bodies().body({"headers": []}, receiving(part(b"ab"), part(b"c", False)), max_bytes=3) as body:
        assert body == b"abc"


@pytest.mark.parametrize(
    ("length", "messages", "error"),
    [
        (b"11", (), TooLarge),
        (b"9" * 5000, (), TooLarge),
        (None, (part(b"x" * 6), part(b"x" * 5)), TooLarge),
        (None, (part(b"x" * 9),), LimitExceeded),
        (None, (part(b"x"),), LimitExceeded),
        (None, (part(b"x"), {"type": "http.disconnect"}), InvalidRequest),
    ],
)
async def test_bodies_that_are_refused_leave_the_budget_as_it_was(
    length: bytes | None, messages: tuple[dict[str, Any], ...], error: type[GatewayError]
) -> None:
    bodies = Bodies(budget=8 if error is not TooLarge else 100, seconds=0.1)
    headers = [] if length is None else [(b"content-length", length)]
    before = bodies._left
    with pytest.raises(error):
        async with bodies.body({"headers": headers}, receiving(*messages), max_bytes=10):
            pytest.fail("there is no body")
    assert bodies._left == before


@pytest.mark.attack(28)
async def test_the_budget_is_of_all_bodies_together_and_comes_back() -> None:
    bodies, nothing = Bodies(budget=10), {"headers": list[tuple[bytes, bytes]]()}

    async def read() -> None:
        async with bodies.body(nothing, receiving(part(b"x" * 6, False)), max_bytes=10):
            pass

    async with bodies.body(nothing, receiving(part(b"x" * 6, False)), max_bytes=10):
        with pytest.raises(LimitExceeded):
            await read()
    await read()
