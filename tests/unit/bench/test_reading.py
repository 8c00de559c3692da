"""What stands under a pick-up reads the rows of one mailbox, whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.bench.reading import read


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    """Three envelopes of two recipients."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("CREATE TABLE envelopes (seq INTEGER PRIMARY KEY, recipient, folder, message_hash, body)")
        rows = [("alice", "inbox", "0x1", b"1"), ("bob", "inbox", "0x2", b"22"), ("alice", "inbox", "0x3", b"333")]
        conn.executemany("INSERT INTO envelopes (recipient, folder, message_hash, body) VALUES (?, ?, ?, ?)", rows)
        yield conn


def test_the_oldest(conn: sqlite3.Connection) -> None:
    assert read(conn, "alice", {"limit": 1}) == 1
    assert read(conn, "alice", {"limit": 10}) == 4


def test_those_that_are_named(conn: sqlite3.Connection) -> None:
    assert read(conn, "alice", {"hashes": ["0x2", "0x3"]}) == 3
