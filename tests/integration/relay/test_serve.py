"""Running one node: a stop at any moment ends it in order, and whatever happens the socket is closed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from gateway import serving as app_module
from gateway.errors import ConfigError
from gateway.operations.installation import Answers, create_installation
from gateway.sdk import AdapterContext
from gateway.serving import serve_until
from gateway.settings import Settings, load_settings
from gateway.store.migrate import upgrade
from gateway.web.server import HttpServer, listen
from tests.support.adapters import PaperAdapter


class Starting(PaperAdapter):
    """Opens as it is told, and counts its closings."""

    def __init__(self, how: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.opening = asyncio.Event()
        self.closed = 0
        self._how = how

    async def open(self, ctx: AdapterContext) -> None:
        self.opening.set()
        if self._how is None:
            await asyncio.Event().wait()
        else:
            self._how()
        await super().open(ctx)

    async def close(self) -> None:
        self.closed += 1
        await super().close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9", port=0)
    found = load_settings(create_installation(tmp_path, answers), {})
    upgrade(found.store.url)
    return found


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every socket that was bound to listen on."""
    bound: list[socket.socket] = []

    def remembered(host: str, port: int) -> socket.socket:
        bound.append(listen(host, port))
        return bound[-1]

    monkeypatch.setattr(app_module, "listen", remembered)
    return bound


async def test_a_stop_while_an_adapter_is_opened(settings: Settings, sockets: list[socket.socket]) -> None:
    adapter, stop = Starting(), asyncio.Event()
    serving = asyncio.create_task(serve_until(settings, {adapter.name: adapter}, stop))
    async with asyncio.timeout(60):
        await adapter.opening.wait()
        stop.set()
        await serving
    assert adapter.closed == 1
    assert [each.fileno() for each in sockets] == [-1]


async def test_a_stop_before_the_start(settings: Settings, sockets: list[socket.socket]) -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(60):
        await serve_until(settings, {}, stop)
    assert [each.fileno() for each in sockets] == [-1]


async def test_an_adapter_that_cannot_be_opened(settings: Settings, sockets: list[socket.socket]) -> None:
    def broken() -> None:
        raise ConfigError("adapters.paper: no paper")

    adapter = Starting(broken)
    with pytest.raises(ConfigError, match="no paper"):
        await serve_until(settings, {adapter.name: adapter}, asyncio.Event())
    assert adapter.closed == 1
    assert [each.fileno() for each in sockets] == [-1]


async def test_a_database_that_cannot_be_opened(settings: Settings, sockets: list[socket.socket]) -> None:
    settings.relay.key_file.unlink()
    with pytest.raises(ConfigError):
        await serve_until(settings, {}, asyncio.Event())
    assert [each.fileno() for each in sockets] == [-1]


async def test_a_listener_that_does_not_start_is_stopped(
    settings: Settings, sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_server: HttpServer) -> None:
        raise ConfigError("server: no")

    stopped = []
    stop = HttpServer.stop

    async def observed(server: HttpServer) -> None:
        stopped.append(server)
        await stop(server)

    monkeypatch.setattr(HttpServer, "start", broken)
    monkeypatch.setattr(HttpServer, "stop", observed)
    with pytest.raises(ConfigError, match="server: no"):
        await serve_until(settings, {}, asyncio.Event())
    assert len(stopped) == 1
    assert [each.fileno() for each in sockets] == [-1]


async def test_serving_until_the_stop(settings: Settings, sockets: list[socket.socket]) -> None:
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_until(settings, {}, stop))
    async with asyncio.timeout(60), httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        while not sockets:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.01)
        port = sockets[0].getsockname()[1]
        while True:
            try:
                assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
                break
            except httpx2.ConnectError:
                await asyncio.sleep(0.01)
        stop.set()
        await serving
    assert sockets[0].fileno() == -1


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_whoever_came_second_to_a_port_is_told(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Both are bound before either listens, as when a machine starts two nodes at once; none serves deaf."""

    async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    async def both() -> None:
        first = listen("127.0.0.1", 0)
        port = first.getsockname()[1]
        second = HttpServer(nothing, listen("127.0.0.1", port))
        quicker = HttpServer(nothing, first)
        await quicker.start()
        try:
            with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
                await second.start()
        finally:
            await second.stop()
            await quicker.stop()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(both())
