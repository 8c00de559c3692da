"""Stores that have much in them already: rows written past the server, which may be running."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any, Final

from gateway.ens.names import namehash
from gateway.ids import EnsName, EnvelopeId, LaneKey
from gateway.store import Store
from gateway.store.engine import sqlite_path
from gateway.store.jobs import JobState, destination_of
from gateway.store.mailbox import AcceptEnvelope, StoredEnvelope
from gateway.store.names import NameRow, columns_of
from tests.bench.people import Person
from tests.bench.world import World

BODY_BYTES: Final = 6_200
"""Of an envelope as it is kept: that of the pick-up row, with its postmark."""
AT_ONCE: Final = 500
YEAR_MS: Final = 365 * 24 * 3600 * 1000
TEXT_START: Final = "https://example.org/"


def envelopes(world: World, recipient: Person, body_bytes: int = BODY_BYTES) -> Iterator[StoredEnvelope]:
    """Envelopes as the relay keeps them, without end; their bodies are of the right size and say nothing."""
    filling = json.dumps("0123456789abcdef" * (body_bytes // 16))
    number = 0
    while True:
        digest = hashlib.sha256(f"{recipient.name} {number}".encode()).hexdigest()
        yield StoredEnvelope(
            id=EnvelopeId(digest),
            recipient=recipient.address,
            recipient_name=recipient.name,
            sender=world.senders[number % len(world.senders)].name,
            verified=True,
            message_hash=f"0x{digest}",
            encrypted_hash=f"0x{digest}",
            body=f'{{"message":{filling},"metadata":{{"messageHash":"0x{digest}"}}}}'.encode(),
            received_at=number,
            expires_at=100 * YEAR_MS,
            holder=world.senders[number % len(world.senders)].address,
        )
        number += 1


async def fill_mailbox(world: World, coming: Iterator[StoredEnvelope], number: int) -> list[tuple[str, str]]:
    """Write so many envelopes; gives sender and hash of each.

    The log is folded into the file, as it is in time.
    """
    written: list[tuple[str, str]] = []
    async with await Store.open(world.settings.store.url) as store:
        while len(written) < number:
            some = [next(coming) for _ in range(min(AT_ONCE, number - len(written)))]
            await store.commit_all(*map(AcceptEnvelope, some))
            written += [(each.sender, each.message_hash) for each in some]
    with closing(sqlite3.connect(sqlite_path(world.settings.store.url))) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return written


def name_row(name: EnsName) -> NameRow:
    """A name with an address and three texts."""
    return NameRow(
        name=name,
        node=namehash(name),
        owner=None,
        address=namehash(name)[:20],
        coins={},
        texts={"url": f"{TEXT_START}{name}", "description": f"This is {name}", "com.github": name},
        contenthash=None,
        created_at=0,
        updated_at=0,
        skeleton=name,
    )


def fill_names(url: str, names: Iterable[EnsName]) -> None:
    """Write a row for each, all of them new. Blocks."""
    _insert(url, "names", map(columns_of, map(name_row, names)))


def fill_lanes(url: str, lanes: Iterable[LaneKey], kind: str, payload: bytes) -> None:
    """Write new lanes with a job each, all of them due. Blocks."""
    waiting = list(lanes)
    _insert(
        url,
        "lanes",
        (
            {"name": lane, "destination": destination_of(lane), "due": 1, "token": 0, "lease_until": 0}
            for lane in waiting
        ),
    )
    _insert(
        url,
        "jobs",
        (
            {
                "lane": lane,
                "kind": kind,
                "payload": payload,
                "state": JobState.READY.value,
                "attempts": 0,
                "reason": "",
                "created_at": 0,
                "expires_at": 100 * YEAR_MS,
            }
            for lane in waiting
        ),
    )


def _insert(url: str, table: str, rows: Iterator[Mapping[str, Any]]) -> None:
    """By the driver alone, and in one transaction: a million rows in half a minute. The log is folded into the file."""
    first = next(rows, None)
    if first is None:
        return
    columns = tuple(first)
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    with closing(sqlite3.connect(sqlite_path(url), isolation_level=None, timeout=60)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany(statement, ([row[column] for column in columns] for row in chain((first,), rows)))
        conn.execute("COMMIT")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
