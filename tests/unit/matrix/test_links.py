"""Files behind links are read by strangers, as slowly as they like, and come from a homeserver that may break off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import pytest
import pytest_asyncio
from aiohttp import web
from starlette.applications import Starlette

from adapters.matrix import client
from adapters.matrix.client import LINKED, Homeserver
from adapters.matrix.content import Media, read_message
from adapters.matrix.ids import Mxid
from adapters.matrix.intent import Intent
from adapters.matrix.links import LinkedFiles, Links

LINKS = Links("", b"k" * 32)
LARGE = 1_000_000
TIMEOUT = 1.0
"""For which nothing comes, where that is what a test is about; of a download as a whole it was five times as much once.
"""
SLOW = 110
Message = dict[str, Any]
Serve = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


async def _large(_request: web.Request, answer: web.StreamResponse) -> None:
    await answer.write(b"x" * LARGE)


async def _too_large(_request: web.Request, answer: web.StreamResponse) -> None:
    await answer.write(b"x" * 2 * LARGE)


async def _slow(_request: web.Request, answer: web.StreamResponse) -> None:
    for _ in range(SLOW):
        await answer.write(b"x")
        await asyncio.sleep(TIMEOUT / 20)


async def _stalled(_request: web.Request, answer: web.StreamResponse) -> None:
    await answer.write(b"x")
    await asyncio.sleep(60)


async def _broken(request: web.Request, answer: web.StreamResponse) -> None:
    await answer.write(b"x")
    assert request.transport is not None
    request.transport.abort()


FILES: dict[str, tuple[Serve, int | None]] = {
    "large": (_large, LARGE),
    "toolarge": (_too_large, 2 * LARGE),
    "toolargechunks": (_too_large, None),
    "slow": (_slow, SLOW),
    "stalled": (_stalled, 15),
    "broken": (_broken, 15),
    "brokenchunks": (_broken, None),
}


@pytest_asyncio.fixture
async def homeserver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Homeserver]:
    async def file(request: web.Request) -> web.StreamResponse:
        serve, size = FILES[request.path.rpartition("/")[2]]
        answer = web.StreamResponse()
        if size is None:
            answer.enable_chunked_encoding()
        answer.content_length = size
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            await serve(request, answer)
        return answer

    async def other(_request: web.Request) -> web.Response:
        return web.json_response({})

    monkeypatch.setattr(client, "CONNECTIONS", 2)
    app = web.Application()
    app.router.add_get("/_matrix/client/v1/media/download/hs/{id}", file)
    app.router.add_get("/other", other)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    opened = Homeserver(f"http://127.0.0.1:{runner.addresses[0][1]}", "token", timeout=60)
    await opened.open()
    yield opened
    await opened.close()
    await runner.cleanup()


@pytest.fixture
def impatient(homeserver: Homeserver) -> None:
    homeserver._timeout = TIMEOUT


@pytest.fixture
def app(homeserver: Homeserver) -> Starlette:
    files = LinkedFiles(lambda: (LINKS, Intent(homeserver, Mxid("@dm3:hs")), 1), LARGE)
    return Starlette(routes=[files.route()])


class Reader:
    """Reads a file by its link; while `may_read` is not set it takes nothing but the head."""

    def __init__(self, app: Starlette, name: str, method: str = "GET", media: Media | None = None) -> None:
        self.head = asyncio.Event()
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.messages: list[Message] = []
        self._app = app
        media = media or Media("hs", name, "name", "image/png", 0)
        self.path = LINKS.to(media, media.media_type, 10**12)
        self._scope = {
            "type": "http",
            "method": method,
            "path": unquote(self.path),
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [],
        }

    async def read(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: Any) -> None:
        self.messages.append(message)
        self.head.set()
        await self.may_read.wait()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(each.get("body", b"") for each in self.messages[1:])

    @property
    def complete(self) -> bool:
        return self.messages[-1].get("more_body") is False


async def test_slow_readers_hold_up_no_message_and_not_more_than_each_other(
    app: Starlette, homeserver: Homeserver
) -> None:
    readers = [Reader(app, "large") for _ in range(LINKED)]
    for reader in readers:
        reader.may_read.clear()
    tasks = [asyncio.create_task(reader.read()) for reader in readers]
    await asyncio.wait_for(asyncio.gather(*(reader.head.wait() for reader in readers)), 60)
    assert {reader.status for reader in readers} == {200}
    assert await homeserver.call("GET", "/other") == {}
    late = Reader(app, "large")
    await asyncio.wait_for(late.read(), 60)
    assert late.status == 503
    assert late.headers[b"retry-after"].isdigit()
    for reader in readers:
        reader.may_read.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert {len(reader.body) for reader in readers} == {LARGE}
    again = Reader(app, "large")
    await again.read()
    assert (again.status, len(again.body), again.complete) == (200, LARGE, True)


@pytest.mark.parametrize("media_type", ["image/pn\N{LATIN SMALL LETTER G WITH BREVE}", "x" * 60_000, ""])
async def test_whatever_a_sender_calls_a_file_its_link_works(app: Starlette, media_type: str) -> None:
    name = "\N{CAT FACE}" * 20_000 + ".png"
    content = {"msgtype": "m.file", "body": name, "url": "mxc://hs/large", "info": {"mimetype": media_type}}
    media = read_message(content).file
    assert media is not None
    reader = Reader(app, "large", media=media)
    assert len(reader.path) < 2_000
    await reader.read()
    assert (reader.status, len(reader.body)) == (200, LARGE)
    assert reader.headers[b"content-disposition"].endswith(b".png")


async def test_readers_who_go_away_make_room(app: Starlette) -> None:
    for _ in range(LINKED + 1):
        reader = Reader(app, "large")
        reader.may_read.clear()
        task = asyncio.create_task(reader.read())
        await asyncio.wait_for(reader.head.wait(), 60)
        assert reader.status == 200
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        asked = Reader(app, "large", "HEAD")
        await asked.read()
        assert (asked.status, asked.body, asked.headers[b"content-length"]) == (200, b"", b"1000000")


@pytest.mark.usefixtures("impatient")
async def test_a_download_takes_as_long_as_it_goes_on(app: Starlette) -> None:
    reader = Reader(app, "slow")
    await reader.read()
    assert (reader.status, reader.body, reader.complete) == (200, b"x" * SLOW, True)


@pytest.mark.parametrize("name", ["stalled", "broken", "brokenchunks"])
async def test_what_breaks_off_ends_without_an_error_and_is_not_taken_for_whole(
    app: Starlette, name: str, request: pytest.FixtureRequest
) -> None:
    if name == "stalled":
        request.getfixturevalue("impatient")
    for _ in range(LINKED + 1):
        reader = Reader(app, name)
        await asyncio.wait_for(reader.read(), 60)
        assert reader.status == 200
        assert not reader.complete
        if name == "stalled":
            break


async def test_a_file_that_is_larger_than_its_sender_said_is_not_served(app: Starlette) -> None:
    for method in ("GET", "HEAD"):
        told = Reader(app, "toolarge", method)
        await told.read()
        assert told.status == 404
    reader = Reader(app, "toolargechunks")
    await reader.read()
    assert reader.status == 200
    assert len(reader.body) <= LARGE
    assert not reader.complete
