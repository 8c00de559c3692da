"""Migrations: every revision up and down with data, on both databases, and the schema they build."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from gateway.errors import MailboxFull, SchemaMismatch, Unavailable
from gateway.ids import EnsName
from gateway.store import Store, migrate
from gateway.store.accounts import PutAccount
from gateway.store.identities import IdentityOf, IssueIdentity
from gateway.store.lanes import Enqueue, LaneJobs
from gateway.store.links import LinkIdentity
from gateway.store.mailbox import AcceptEnvelope, Acknowledge, EmptyMailbox, Folder, PickUp
from gateway.store.names import NameNamed, Origin
from gateway.store.once import Once
from gateway.store.ownership import ReplaceName
from gateway.store.schema import HISTORY, REVISION, metadata
from gateway.store.usage import UNVERIFIED, MailboxNames, MailboxUsage, Quota, Usage
from tests.integration.store.recount import assert_counted
from tests.integration.store.values import BOB_ADDRESS, EMAIL, NOW, address, envelope, identity, job, lane

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody migrated, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'gateway.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def tables(conn: Connection) -> set[str]:
    return set(inspect(conn).get_table_names())


async def fill(url: str) -> None:
    async with await Store.open(url) as store:
        await store.commit(AcceptEnvelope(envelope(1), job("j")))
        await store.commit(Once("s", "k", NOW, (IssueIdentity(identity("ann")), Enqueue(job("k")))))


@pytest.mark.weakness(22)
def test_up_and_down_and_up_again_with_data(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    for revision in HISTORY:
        migrate.upgrade(empty_url, revision)
        assert migrate.current(empty_url) == revision
    asyncio.run(fill(empty_url))
    for revision in (*reversed(HISTORY[:-1]), "base"):
        migrate.downgrade(empty_url, revision)
        assert migrate.current(empty_url) == (None if revision == "base" else revision)
    assert migrate.run(empty_url, tables) == {"alembic_version"}
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == REVISION
    asyncio.run(fill(empty_url))


def test_upgrading_twice_keeps_the_data(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    asyncio.run(fill(empty_url))
    migrate.upgrade(empty_url)

    async def look() -> None:
        async with await Store.open(empty_url) as store:
            assert len(await store.read(PickUp(BOB_ADDRESS, NOW, 10))) == 1
            assert [queued.payload for queued in await store.read(LaneJobs(lane(), 10))] == [b"j", b"k"]
            assert await store.read(IdentityOf(EMAIL, identity("ann").canonical_id)) is not None

    asyncio.run(look())


WAITING = [("bob", "bob.eth", 10), ("bob", "bob.eth", 20), ("bob", "work.eth", 5), ("carol", "carol.eth", 0)]
"""Recipient, name and size of mail that came before there were accounts."""


def checksum(id_: str, recipient: str, body: bytes) -> bytes:
    digest = hashlib.blake2b(f"{id_}\n{recipient}\n".encode(), digest_size=16)
    digest.update(body)
    return digest.digest()


def put_as_0001(conn: Connection) -> None:
    columns = (
        "id, recipient, recipient_name, sender, verified, message_hash, encrypted_hash, body, size, checksum,"
        " received_at, expires_at"
    )
    for number, (recipient, name, size) in enumerate(WAITING):
        stored = envelope(number, recipient=address(recipient), body=b"x" * size)
        values = {
            "id": stored.id,
            "recipient": stored.recipient,
            "name": name,
            "sender": stored.sender,
            "message": stored.message_hash,
            "encrypted": stored.encrypted_hash,
            "body": stored.body,
            "size": size,
            "checksum": checksum(stored.id, stored.recipient, stored.body),
            "received": stored.received_at,
            "expires": stored.expires_at,
        }
        conn.execute(
            text(
                f"INSERT INTO envelopes ({columns}) VALUES (:id, :recipient, :name, :sender, TRUE, :message,"
                " :encrypted, :body, :size, :checksum, :received, :expires)"
            ),
            values,
        )


def test_mail_that_waits_is_counted_when_accounts_come(empty_url: str) -> None:
    """And is read, charged to nobody verified, and given back like any other."""
    migrate.upgrade(empty_url, "0001")
    migrate.run(empty_url, put_as_0001)
    migrate.upgrade(empty_url)

    async def look() -> None:
        async with await Store.open(empty_url) as store:
            await assert_counted(store)
            assert await store.read(MailboxUsage(address("bob"))) == Usage(3, 35)
            assert await store.read(MailboxNames(address("bob"), 9)) == ["bob.eth", "work.eth"]
            waiting = await store.read(PickUp(address("bob"), NOW, 10))
            assert [(each.size, each.recipient_name, each.holder, each.folder) for each in waiting] == [
                (size, name, UNVERIFIED, Folder.INBOX) for recipient, name, size in WAITING if recipient == "bob"
            ]
            full = Quota(Usage(4, 1000), Usage(9, 1000))
            newer = envelope("new", recipient=address("bob"), holder=address("alice"))
            with pytest.raises(MailboxFull):
                await store.commit(AcceptEnvelope(replace(newer, holder=UNVERIFIED), quota=full))
            assert await store.commit(AcceptEnvelope(newer, quota=full)) is True
            await store.commit(EmptyMailbox(address("bob"), 100))
            await assert_counted(store)

    asyncio.run(look())


def test_going_back_keeps_the_mail(empty_url: str) -> None:
    """Rules and figures are lost; message requests become ordinary mail, because the older program knows no other."""
    migrate.upgrade(empty_url)

    async def fill_all() -> None:
        async with await Store.open(empty_url) as store:
            for number in range(6):
                folder = Folder.REQUESTS if number % 2 else Folder.INBOX
                await store.commit(AcceptEnvelope(envelope(number, folder=folder, holder=address("alice"))))
            await store.commit(PutAccount(BOB_ADDRESS, EnsName("bob.eth"), "{}", NOW))

    asyncio.run(fill_all())
    migrate.downgrade(empty_url, "0001")
    rows = migrate.run(empty_url, lambda conn: conn.execute(text("SELECT * FROM envelopes ORDER BY seq")).all())
    assert [(row.id, bytes(row.body)) for row in rows] == [(envelope(n).id, envelope(n).body) for n in range(6)]
    assert not {"folder", "holder"} & set(rows[0]._mapping)
    assert not {"accounts", "mailbox_usage", "traffic"} & migrate.run(empty_url, tables)
    migrate.upgrade(empty_url)

    async def look() -> None:
        async with await Store.open(empty_url) as store:
            await assert_counted(store)
            assert len(await store.read(PickUp(BOB_ADDRESS, NOW, 10))) == 6
            assert await store.commit(AcceptEnvelope(envelope(1))) is False, "ids are remembered through all this"

    asyncio.run(look())


def test_names_from_before_they_were_issued_are_the_operator_s(empty_url: str) -> None:
    """And going back frees what rests and ends the links."""
    migrate.upgrade(empty_url, "0002")
    put = text(
        "INSERT INTO names (name, node, path, owner, address, coins, texts, contenthash, created_at, updated_at)"
        " VALUES ('bob.gw.eth', :node, 'eth.gw.bob', NULL, NULL, '{}', '{}', NULL, 1, 1)"
    )
    migrate.run(empty_url, lambda conn: conn.execute(put, {"node": b"n" * 32}) and None)
    migrate.upgrade(empty_url)

    async def use() -> None:
        async with await Store.open(empty_url) as store:
            bob = await store.read(NameNamed(EnsName("bob.gw.eth")))
            assert bob is not None
            assert (bob.origin, bob.expires_at, bob.released_at, bob.sequence) == (Origin.OPERATOR, None, None, 0)
            await store.commit(ReplaceName(replace(bob, released_at=NOW)))
            ann = await store.commit(IssueIdentity(identity("ann")))
            await store.commit(LinkIdentity(ann.id, ann.epoch, EnsName("ann.gw.eth"), "0x", NOW))

    asyncio.run(use())
    migrate.downgrade(empty_url, "0002")

    def left(conn: Connection) -> tuple[Any, Any]:
        return conn.scalar(text("SELECT COUNT(*) FROM names")), conn.scalar(text("SELECT level FROM identities"))

    assert migrate.run(empty_url, left) == (0, "bridged")


def test_the_migrations_build_the_tables_of_the_program(empty_url: str) -> None:
    migrate.upgrade(empty_url)

    def differences(conn: Connection) -> list[Any]:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    assert migrate.run(empty_url, differences) == []


def test_second_hashes_are_indexed_where_they_differ(empty_url: str) -> None:
    """Before and after it, and again: what waits is found by either hash."""
    migrate.upgrade(empty_url, "0005")
    migrate.run(empty_url, put_as_0001)
    one = replace(envelope("one"), encrypted_hash=envelope("one").message_hash)

    def definition(conn: Connection) -> str:
        named = {
            "sqlite": "sql FROM sqlite_master WHERE name",
            "postgresql": "indexdef FROM pg_indexes WHERE indexname",
        }
        return str(conn.scalar(text(f"SELECT {named[conn.dialect.name]} = 'envelopes_by_encrypted'")))

    async def acknowledge() -> None:
        async with await Store.open(empty_url) as store:
            assert await store.commit(AcceptEnvelope(one)) is True
            known = envelope(0, recipient=address("bob"))
            assert await store.commit(Acknowledge(address("bob"), ((known.sender, known.encrypted_hash),))) == 1
            assert await store.commit(Acknowledge(one.recipient, ((one.sender, one.encrypted_hash),))) == 1

    assert "WHERE" not in migrate.run(empty_url, definition)
    migrate.upgrade(empty_url)
    assert "WHERE" in migrate.run(empty_url, definition)
    asyncio.run(acknowledge())
    migrate.downgrade(empty_url, "0005")
    assert "WHERE" not in migrate.run(empty_url, definition)


def test_numbers_are_not_reused_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    migrate.upgrade(url)

    def counted(conn: Connection) -> set[str]:
        rows = conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        return {name for (name,) in rows}

    assert migrate.run(url, counted) == {"envelopes", "jobs", "identities", "audit"}


def test_names_are_compared_by_bytes_on_postgresql(postgres_url: str) -> None:
    """Whatever the locale of the cluster: pages of a listing are ranges of bytes."""
    migrate.upgrade(postgres_url)

    def collations(conn: Connection) -> set[tuple[str, str]]:
        rows = conn.exec_driver_sql(
            "SELECT table_name || '.' || column_name, collation_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'text'"
        )
        return {tuple(row) for row in rows}

    free_text = {
        "message_links.reply_instruction",
        "accounts.profile",
        "accounts.rules",
        "channels.recipient",
        "jobs.reason",
        "identities.display_name",
        "identities.owner_signature",
        "names.coins",
        "names.texts",
        "names.more",
        "reservations.note",
        "audit.detail",
        "api_keys.label",
        "api_keys.scopes",
        "idempotency.body",
        "webhooks.url",
        "webhooks.events",
        "statuses.reason",
        "failed_messages.reason",
        "adapter_values.value",
    }
    assert {column for column, collation in migrate.run(postgres_url, collations) if collation != "C"} == free_text


@pytest.mark.weakness(22)
def test_two_nodes_that_start_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(migrate.upgrade, empty_url) for _ in range(4)]:
            done.result()
    assert migrate.current(empty_url) == REVISION


def test_a_migration_that_fails_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.operations import Operations

    create = Operations.create_table

    def fail_late(self: Operations, name: str, *columns: Any, **options: Any) -> Any:
        if name == "tokens":
            raise OSError("the lights went out")
        return create(self, name, *columns, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_table", fail_late)
        with pytest.raises(Unavailable):
            migrate.upgrade(empty_url)
    assert migrate.run(empty_url, tables) == set()
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == REVISION


def test_a_revision_that_does_not_exist(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch):
        migrate.upgrade(empty_url, "7777")


@pytest.mark.weakness(22)
def test_a_newer_database_is_not_touched(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.run(empty_url, lambda conn: conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch):
        migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == "9999"


def test_the_developers_command(empty_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-x", f"url={empty_url}", "upgrade", "head"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert migrate.current(empty_url) == REVISION


def test_importing_the_store_loads_only_what_sqlite_needs() -> None:
    """Start-up time: alembic, asyncpg and SQLAlchemy's asynchronous side come when they are needed."""
    slow = ("alembic", "asyncpg", "sqlalchemy.ext.asyncio")
    code = f"import sys, gateway.store, gateway.store.migrate; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
