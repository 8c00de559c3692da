"""A migration takes the time that it takes: none of the limits of a node, or of the database, ends it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from gateway.store import migrate, postgres
from gateway.store.schema import REVISION
from tests.support.postgres import PostgresServer, database_of

LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
SHORT_S = 0.1
DEADLINE_S = 60


def limits(conn: Connection) -> dict[str, str]:
    return {name: str(conn.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in LIMITS}


def test_no_limit_is_in_force(postgres_server: PostgresServer, postgres_url: str) -> None:
    """Not those that a node asks for, nor one that somebody gave the database."""
    postgres_server.sql(f"ALTER DATABASE {database_of(postgres_url)} SET statement_timeout = '20s'")
    assert migrate.run(postgres_url, limits) == dict.fromkeys(LIMITS, "0")


def test_a_statement_may_take_longer_than_a_node_waits(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "COMMAND_TIMEOUT_S", SHORT_S)

    def slow(conn: Connection) -> bool:
        conn.exec_driver_sql(f"SELECT pg_sleep({5 * SHORT_S})")
        return True

    assert migrate.run(postgres_url, slow) is True


def test_a_second_migrator_waits_for_the_first(
    postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than a statement of a node waits for a lock, and for an answer."""
    monkeypatch.setitem(postgres.SERVER_SETTINGS, "lock_timeout", f"{int(SHORT_S * 1000)}ms")
    monkeypatch.setattr(postgres, "COMMAND_TIMEOUT_S", SHORT_S)
    holding, go_on = threading.Event(), threading.Event()

    def hold(_conn: Connection) -> bool:
        holding.set()
        return go_on.wait(DEADLINE_S)

    def waits(second: Future[None]) -> bool:
        deadline = time.monotonic() + DEADLINE_S
        look = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while postgres_server.sql(look, database_of(postgres_url)) != "1":
            if second.done() or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        time.sleep(5 * SHORT_S)
        return not second.done()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(migrate.run, postgres_url, hold)
        try:
            assert holding.wait(DEADLINE_S)
            second = pool.submit(migrate.upgrade, postgres_url)
            assert waits(second)
        finally:
            go_on.set()
        assert first.result() is True
        second.result()
    assert migrate.current(postgres_url) == REVISION
