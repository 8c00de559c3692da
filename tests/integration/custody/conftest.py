"""A store on SQLite and on PostgreSQL, and a keyring with a fixed seed."""

from __future__ import annotations

import pytest

from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import MasterSeed
from gateway.ids import EnsName
from tests.support.store import (
    migrated_postgres,
    migrated_sqlite,
    own_store_url,
    postgres_server,
    postgres_store_url,
    postgres_url,
    sqlite_store_url,
    store,
    store_url,
)

__all__ = [
    "migrated_postgres",
    "migrated_sqlite",
    "own_store_url",
    "postgres_server",
    "postgres_store_url",
    "postgres_url",
    "sqlite_store_url",
    "store",
    "store_url",
]

PARENT = EnsName("gw.eth")
TTL_MS = 1_000_000


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(MasterSeed(bytes(range(32))), delivery_services=(EnsName("ds.gw.eth"),), max_ttl_ms=TTL_MS)


@pytest.fixture
def identities(keyring: Keyring) -> Identities:
    return Identities(keyring, PARENT)
