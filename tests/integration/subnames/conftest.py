"""A gateway under whose parent everybody may claim, and people with wallets."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.subnames.wallets import Wallet
from tests.support.house import House, running_house

OPEN = {"DM3_GATEWAY__SUBNAMES__POLICY": "open"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", overrides=OPEN) as running:
        yield running


@pytest.fixture
def bob(house: House) -> Wallet:
    return Wallet(house, secrets.token_bytes(32))


@pytest.fixture
def mallory(house: House) -> Wallet:
    return Wallet(house, secrets.token_bytes(32))
