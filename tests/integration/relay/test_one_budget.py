"""Bodies of all parts of the public listener together stay within one budget of memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from gateway.bodies import Bodies
from tests.support.house import running_house
from tests.support.waiting import until

BUDGET = 2_000


@pytest.mark.attack(32)
async def test_what_the_relay_holds_is_not_there_for_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Bodies.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "budget", BUDGET)
    async with running_house(tmp_path / "house", working=False) as house:
        host, _, port = house.url.removeprefix("http://").partition(":")

        async def when(held: bool) -> bool | None:
            """Once there is no room for this body, or there is again."""
            body = {"name": "robert.gw.eth", "address": "0x" + "12" * 20}
            answer = await house.http.post(f"{house.url}/api/v1/claims/message", json=body)
            return ("too many bytes of request bodies" in answer.text) is held or None

        assert await when(held=False)
        _, writer = await asyncio.open_connection(host, int(port))
        try:
            head = f"POST /ds/rpc HTTP/1.1\r\nHost: {host}\r\nContent-Length: {BUDGET}\r\n\r\n"
            writer.write(head.encode() + b" " * (BUDGET - 10))
            await writer.drain()
            await until(partial(when, held=True), 5)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        await until(partial(when, held=False))
