"""A keyring with a fixed seed."""

from __future__ import annotations

import pytest

from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import MasterSeed
from gateway.ids import EnsName

PARENT = EnsName("gw.eth")
TTL_MS = 1_000_000


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(MasterSeed(bytes(range(32))), delivery_services=(EnsName("ds.gw.eth"),), max_ttl_ms=TTL_MS)


@pytest.fixture
def identities(keyring: Keyring) -> Identities:
    return Identities(keyring, PARENT)
