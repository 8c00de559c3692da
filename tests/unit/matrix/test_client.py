"""What an answer of the homeserver means."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from adapters.matrix.client import MAX_ANSWER, Homeserver
from adapters.matrix.errors import AnswerTooLarge, HomeserverDown
from adapters.matrix.intent import PAGE


@pytest_asyncio.fixture
async def homeserver() -> AsyncIterator[Homeserver]:
    """One that answers with as many bytes, and the status, as the path says."""

    async def answer(request: web.Request) -> web.Response:
        status, size = (int(each) for each in request.path.strip("/").split("/"))
        return web.Response(status=status, body=b'{"a":"' + b"x" * (size - 8) + b'"}')

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = Homeserver(f"http://127.0.0.1:{runner.addresses[0][1]}", "token", timeout=30)
    await client.open()
    yield client
    await client.close()
    await runner.cleanup()


async def test_an_answer_that_is_too_large_is_a_refusal(homeserver: Homeserver) -> None:
    """It would be as large the next time."""
    assert len((await homeserver.call("GET", f"/200/{MAX_ANSWER}"))["a"]) == MAX_ANSWER - 8
    with pytest.raises(AnswerTooLarge):
        await homeserver.call("GET", f"/200/{MAX_ANSWER + 1}")


async def test_a_fault_is_what_its_status_says_however_large(homeserver: Homeserver) -> None:
    with pytest.raises(HomeserverDown):
        await homeserver.call("GET", f"/502/{MAX_ANSWER + 1}")


def test_a_page_of_history_is_read_whatever_people_write() -> None:
    """Of the largest events (64 KiB), each with its edit and the last of its thread."""
    assert PAGE * 3 * 64 * 1024 < MAX_ANSWER
