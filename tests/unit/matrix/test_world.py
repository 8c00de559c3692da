"""How many chats somebody may begin."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from adapters.matrix import world
from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.settings import MatrixSettings
from gateway.sdk import LimitExceeded
from gateway.sdk.testing import MemoryContext

ALICE, BOB = "@alice:example.org", "@bob:example.org"


@pytest.mark.parametrize("wanted", [1, 10, 60, 90])
async def test_new_chats_are_counted_by_the_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int) -> None:
    now = 1_000.0
    monkeypatch.setattr(world, "time", SimpleNamespace(monotonic=lambda: now))
    for token in ("as", "hs"):
        (tmp_path / token).write_text("x" * 32)
    settings = MatrixSettings(
        homeserver_url="http://127.0.0.1:1",
        server_name="example.org",
        as_token_file=tmp_path / "as",
        hs_token_file=tmp_path / "hs",
        new_chats_per_hour=wanted,
    )
    adapter = MatrixAdapter(settings)
    await adapter.open(MemoryContext(network=adapter.name))
    chats = adapter._opened().chats

    def begun(person: str = ALICE) -> int:
        count = 0
        while count < 1_000:
            try:
                chats.take(person)
            except LimitExceeded:
                break
            count += 1
        return count

    try:
        assert begun() == wanted
        now += 3_600 / wanted - 1
        assert begun() == 0, "not yet"
        now += 1.001
        assert begun() == 1, "one more, and not one a minute"
        assert begun(BOB) == wanted
        now += 3_601
        assert begun() == wanted, "after an hour as in the beginning"
    finally:
        await adapter.close()
