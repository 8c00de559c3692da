"""A store on SQLite and on PostgreSQL."""

from __future__ import annotations

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
