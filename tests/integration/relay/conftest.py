"""A gateway without adapters, and two people with wallets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.operations.dm3_client import Dm3Client
from tests.support.house import House, running_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", working=False) as running:
        yield running


@pytest.fixture
async def alice(house: House) -> Dm3Client:
    return await house.native("alice.eth", "alice")


@pytest.fixture
async def bob(house: House) -> Dm3Client:
    return await house.native("bob.eth", "bob")
