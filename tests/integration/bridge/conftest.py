"""A gateway with one adapter under the control of the test, and a native person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.operations.dm3_client import Dm3Client
from gateway.work import results
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house


@pytest.fixture(autouse=True)
def short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table's shape without its waiting."""
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (0.02,) * 6)


@pytest.fixture
def paper() -> PaperAdapter:
    return PaperAdapter()


@pytest.fixture
async def house(tmp_path: Path, paper: PaperAdapter) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as running:
        yield running


@pytest.fixture
async def native(house: House) -> Dm3Client:
    return await house.native("native.eth")
