"""Backups: taken while messages come in, restored, verified; what a stolen one tells."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import load_seed
from gateway.errors import ConfigError
from gateway.ids import EnsName, EnvelopeId
from gateway.operations import age, backup_file, tombstone_file
from gateway.operations.backup import Made, Order, make_backup, near_database
from gateway.operations.backup_file import OpenedBackup, open_backup
from gateway.operations.installation import Answers, create_installation
from gateway.operations.restore import Restored, plan_restore, restore
from gateway.operations.scratch import scratch_folder
from gateway.operations.tombstone_file import TombstoneKeeper, keep_tombstones, read_tombstones
from gateway.operations.verify import examine, examine_backup
from gateway.sdk.examination import State
from gateway.settings import Settings, load_settings
from gateway.store import Store
from gateway.store.audit import Audit, AuditEntry
from gateway.store.identities import IssueIdentity, ListIdentities
from gateway.store.mailbox import AcceptEnvelope, CountMailbox, GetEnvelope
from gateway.store.sessions import IssueToken, TokenSubject
from gateway.store.snapshot import readable_archive
from gateway.store.tombstones import Bury
from tests.integration.store.values import EMAIL, NOW, Sql, address, envelope, job, lane
from tests.support.postgres import PostgresServer
from tests.support.waiting import until

DAY_MS = 24 * 3600 * 1000


@pytest.fixture(autouse=True)
def programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump of the server's own version."""
    if "store_url" in request.fixturenames and "postgresql" in request.node.name:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        monkeypatch.setenv("PATH", f"{server._bin}:{os.environ['PATH']}")


def installed(folder: Path, store_url: str) -> Path:
    """Its configuration."""
    answers = Answers(
        parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9", store_url=store_url
    )
    return create_installation(folder, answers)


@pytest.fixture
def config(tmp_path: Path, store_url: str) -> Path:
    return installed(tmp_path / "node", store_url)


@pytest.fixture
def settings(config: Path) -> Settings:
    return load_settings(config, environ={})


@pytest.fixture
def keyring(settings: Settings) -> Keyring:
    return Keyring(load_seed(settings.custody.seed_file), delivery_services=(), max_ttl_ms=DAY_MS)


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of the same kind, to restore into."""
    if "sqlite" in request.node.name:
        yield f"sqlite:///{tmp_path / 'restored.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.fresh_database()
    yield server.url(name)
    server.drop_database(name)


def age_pair(folder: Path) -> tuple[str, Path]:
    """A recipient, and the file with its secret key."""
    import pyrage  # type: ignore[import-untyped]

    secret = pyrage.x25519.Identity.generate()
    path = folder / "backup.key"
    path.write_text(f"# created by a test\n{secret}\n")
    return str(secret.to_public()), path


async def backup_of(
    settings: Settings, config: Path, folder: Path, recipient: str | None = None, **more: object
) -> Made:
    order = replace(Order(folder=folder, recipient=recipient), **more)  # type: ignore[arg-type]
    with scratch_folder(near_database(settings.store.url, config)) as scratch:
        return await make_backup(settings, config, order, scratch, lambda done, total: None)


def opened(path: Path, folder: Path, key: Path | None = None) -> OpenedBackup:
    folder.mkdir()
    return open_backup(path, folder, None if key is None else age.identity_in(key))


async def brought_back(backup: OpenedBackup, url: str, settings: Settings, *, replacing: bool = False) -> Restored:
    seed = load_seed(settings.custody.seed_file)

    async def nobody(*_: object) -> None:
        raise AssertionError("nobody was deleted")

    plan = await plan_restore(backup, url, seed, (), replacing=replacing)
    return await restore(backup, plan, seed, nobody)


async def fill(store: Store, keyring: Keyring) -> None:
    identities = Identities(keyring, EnsName("gw.eth"))
    for number in range(3):
        await store.commit(IssueIdentity(identities.draft(EMAIL, f"p{number}@example.org", now_ms=NOW)))
    for number in range(5):
        await store.commit(Audit(AuditEntry(NOW, "operator", "name.issued", f"n{number}.gw.eth")))
    await store.commit(IssueToken(b"t" * 32, EnsName("bob.eth"), address("bob"), b"k" * 32, 2**50))


def faults(findings: list[object]) -> list[object]:
    return [each for each in findings if getattr(each, "state", None) is State.FAIL]


@pytest.mark.attack(53)
async def test_a_backup_under_load_loses_nothing_that_was_acknowledged_before_it(
    store_url: str, settings: Settings, config: Path, keyring: Keyring, empty: str, tmp_path: Path
) -> None:
    acknowledged: list[EnvelopeId] = []
    recipient, key = age_pair(tmp_path)
    async with await Store.open(store_url) as store:
        await fill(store, keyring)

        async def write(writer: int) -> None:
            for number in count():
                mail = envelope(f"{writer}.{number}", body=os.urandom(2_000), expires_at=2**50)
                await store.commit(AcceptEnvelope(mail, job("x", lane=lane(writer), envelope=mail.id)))
                acknowledged.append(mail.id)

        writers = [asyncio.create_task(write(lane)) for lane in range(8)]
        while len(acknowledged) < 300:
            assert not any(each.done() for each in writers)
            await asyncio.sleep(0)
        before = list(acknowledged)
        made = await backup_of(settings, config, tmp_path / "b", recipient)
        after = len(acknowledged)
        for each in writers:
            each.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
    assert after > len(before), "mail came in while the backup was made"
    backup = opened(made.path, tmp_path / "apart", key)
    found = await examine_backup(backup, keyring, empty if "postgres" in store_url else None)
    assert faults(found) == []  # type: ignore[arg-type]
    if "postgres" in store_url:
        async with await Store.open(empty) as store:
            await store.commit(Sql("DROP SCHEMA public CASCADE"))
            await store.commit(Sql("CREATE SCHEMA public"))
    again = opened(made.path, tmp_path / "again", key)
    done = await brought_back(again, empty, settings)
    assert (done.renewed.epoch, done.renewed.sessions) == (2, 1)
    async with await Store.open(empty) as store:
        assert faults(await examine(store, keyring)) == []  # type: ignore[arg-type]
        assert [each for each in before if await store.read(GetEnvelope(each)) is None] == []
        assert await store.read(TokenSubject(b"t" * 32, NOW)) is None
        assert len(await store.read(ListIdentities(None, 10))) == 3
        highest = (await store.read(Sql("SELECT max(seq) FROM envelopes")))[0][0]
        await store.commit(AcceptEnvelope(envelope("new")))
        new = await store.read(GetEnvelope(envelope("new").id))
        assert new is not None
        assert new.seq > highest + 1_000_000, "a cursor that a client had before is not in front of new mail"


async def test_nothing_is_restored_over_rows_or_under_a_node(
    store_url: str, settings: Settings, config: Path, keyring: Keyring, tmp_path: Path
) -> None:
    async with await Store.open(store_url) as store:
        await fill(store, keyring)
        made = await backup_of(settings, config, tmp_path / "b")
        backup = opened(made.path, tmp_path / "apart")
        with pytest.raises(ConfigError, match="not empty"):
            await brought_back(backup, store_url, settings)
        with pytest.raises(ConfigError, match="open: stop it"):
            await brought_back(backup, store_url, settings, replacing=True)
        await store.commit(AcceptEnvelope(envelope("late"), job("late")))
        assert await store.read(CountMailbox(envelope("late").recipient)) == 1
    done = await brought_back(backup, store_url, settings, replacing=True)
    async with await Store.open(store_url) as store:
        assert faults(await examine(store, keyring)) == []  # type: ignore[arg-type]
        assert await store.read(CountMailbox(envelope("late").recipient)) == 0
        assert await store.commit(AcceptEnvelope(envelope("late"))) is True, "its sender may bring it again"
    if "sqlite" in store_url:
        assert done.aside is not None
        with closing(sqlite3.connect(done.aside)) as aside:
            assert aside.execute("SELECT count(*) FROM envelopes").fetchone() == (1,)


@pytest.mark.attack(52)
async def test_a_stolen_backup_tells_nothing_and_salts_cannot_change_places(
    sqlite_store_url: str, tmp_path: Path
) -> None:
    answers = Answers(
        parent="gw.eth", public_url="https://gw.example", rpc_url="https://rpc.example/v3/canary-key-of-a-provider",
        store_url=sqlite_store_url, adapters={"xmpp": {"component": "dm3.example.org"}},
    )  # fmt: skip
    config = create_installation(tmp_path / "node", answers)
    settings = load_settings(config, environ={})
    keyring = Keyring(load_seed(settings.custody.seed_file), delivery_services=(), max_ttl_ms=DAY_MS)
    texts = [f"canary-{number}-of-a-message" for number in range(10)]
    secrets = [
        (tmp_path / "node" / name).read_text().split('"')[-2] if name == "relay.key" else
        (tmp_path / "node" / name).read_text().strip()
        for name in ("seed.key", "relay.key", "resolver.key", "vapid.key", "xmpp.secret")
    ]  # fmt: skip
    async with await Store.open(sqlite_store_url) as store:
        await fill(store, keyring)
        for number, text in enumerate(texts):
            await store.commit(AcceptEnvelope(envelope(number, body=text.encode()), job(text)))
        canaries = [
            *texts,
            *secrets,
            "canary-key-of-a-provider",
            "p1@example.org",
            "n3.gw.eth",
            "bob.eth",
            "p2.example",
        ]
        assert len(canaries) == 20
        recipient, key = age_pair(tmp_path)
        sealed = await backup_of(settings, config, tmp_path / "sealed", recipient, with_keys=True)
        plain = await backup_of(settings, config, tmp_path / "plain")
        with pytest.raises(ConfigError, match="encrypted backup only"):
            await backup_of(settings, config, tmp_path / "plain", with_keys=True)
        stolen, clear = sealed.path.read_bytes(), plain.path.read_bytes()
        assert [each for each in canaries if each.encode() in stolen] == []
        assert [each for each in texts if each.encode() not in clear] == [], "the search finds what is there"
        assert [each for each in [*secrets, canaries[15]] if each.encode() in clear] == [], (
            "no secrets without being asked"
        )
        first, second = await store.read(ListIdentities(None, 2))
        assert first.sealed_salt is not None
        await store.commit(
            Sql(f"UPDATE identities SET sealed_salt = x'{first.sealed_salt.hex()}' WHERE id = {second.id}")
        )
        found = {each.check: each for each in await examine(store, keyring)}
        assert found["identities"].state is State.FAIL
        assert found["identities"].found.startswith("1 cannot be opened")
    other, _ = age_pair(tmp_path)
    with pytest.raises(ConfigError, match="not for this key"):
        opened(sealed.path, tmp_path / "other", tmp_path / "backup.key")
    key.write_text("nothing")
    with pytest.raises(ConfigError, match="no line AGE"):
        opened(sealed.path, tmp_path / "none", key)
    assert other != recipient


async def test_a_changed_or_cut_backup_is_noticed(sqlite_store_url: str, tmp_path: Path) -> None:
    config = installed(tmp_path / "node", sqlite_store_url)
    settings = load_settings(config, environ={})
    recipient, key = age_pair(tmp_path)
    for number, sealed in enumerate((None, recipient)):
        made = await backup_of(settings, config, tmp_path / "b", sealed)
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        whole = made.path.read_bytes()
        bad = tmp_path / "bad"
        for attempt, content in enumerate(
            (whole[: len(whole) // 2], whole[:30_000] + bytes([whole[30_000] ^ 1]) + whole[30_001:], b"", b"nothing")
        ):
            bad.write_bytes(content)
            with pytest.raises(ConfigError):
                opened(bad, tmp_path / f"bad{number}{attempt}", key if sealed else None)
    assert [each.name for each in (tmp_path / "b").iterdir() if each.name.startswith(".")] == []


async def test_what_the_reading_side_says_is_not_taken_for_a_wrong_key(
    sqlite_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = installed(tmp_path / "node", sqlite_store_url)
    settings = load_settings(config, environ={})
    recipient, key = age_pair(tmp_path)
    async with await Store.open(sqlite_store_url) as store:
        await store.commit(AcceptEnvelope(envelope(1, body=os.urandom(1_000_000))))
    made = await backup_of(settings, config, tmp_path / "b", recipient)
    plain = await backup_of(settings, config, tmp_path / "p")

    monkeypatch.setattr(backup_file, "FORMAT", 0)
    for path in (made.path, plain.path):
        with pytest.raises(ConfigError, match=r"made by version .*: install that one"):
            opened(path, tmp_path / f"newer-{path.suffix}", key)
    monkeypatch.undo()
    for number, path in enumerate((made.path, plain.path)):
        (tmp_path / f"full{number}").mkdir()
        (tmp_path / f"full{number}" / "database.sqlite").symlink_to("/dev/full")
        with monkeypatch.context() as patched:
            patched.setattr(os, "O_EXCL", 0)
            with pytest.raises(ConfigError, match=f"full{number}: cannot be written: No space left"):
                open_backup(path, tmp_path / f"full{number}", age.identity_in(key))
    cut = tmp_path / "cut"
    cut.write_bytes(made.path.read_bytes()[:400_000])
    with pytest.raises(ConfigError, match="not for this key"):
        opened(cut, tmp_path / "cut-apart", key)


async def test_a_full_disk_is_named_when_a_backup_is_encrypted(
    sqlite_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = installed(tmp_path / "node", sqlite_store_url)
    settings = load_settings(config, environ={})
    recipient, _ = age_pair(tmp_path)
    async with await Store.open(sqlite_store_url):
        pass
    seal = age.seal

    def onto_a_full_disk(source: IO[bytes], target: IO[bytes], recipient: age.Recipient) -> None:
        with open("/dev/full", "wb", buffering=0) as full:
            seal(source, full, recipient)

    monkeypatch.setattr(age, "seal", onto_a_full_disk)
    with pytest.raises(ConfigError, match="cannot be written: No space left"):
        await backup_of(settings, config, tmp_path / "b", recipient)
    assert [*(tmp_path / "b").iterdir()] == []


async def test_the_oldest_go_and_only_they(sqlite_store_url: str, tmp_path: Path) -> None:
    config = installed(tmp_path / "node", sqlite_store_url)
    settings, folder = load_settings(config, environ={}), tmp_path / "b"
    folder.mkdir()
    (folder / "dm3-gateway.toml").write_text("mine")
    made = [await backup_of(settings, config, folder, keep=2) for _ in range(4)]
    assert backup_file.backups_in(folder) == [each.path for each in made[-2:]]
    assert [each.removed for each in made] == [(), (), (made[0].path,), (made[1].path,)]
    assert (folder / "dm3-gateway.toml").exists()
    manifest = json.loads(json.dumps({"counts": dict(made[-1].manifest.counts)}))
    assert manifest["counts"]["lineage"] == 1


async def test_half_a_backup_of_a_killed_process_goes_after_a_day(sqlite_store_url: str, tmp_path: Path) -> None:
    config = installed(tmp_path / "node", sqlite_store_url)
    settings, folder = load_settings(config, environ={}), tmp_path / "b"
    old, fresh, other = (folder / name for name in (".dm3-gateway-1.tar.ab", ".dm3-gateway-2.tar.ab", ".mine"))
    folder.mkdir()
    for each in (old, fresh, other):
        each.write_bytes(b"half")
    for each in (old, other):
        os.utime(each, (time.time() - 90_000,) * 2)
    made = await backup_of(settings, config, folder)
    assert {*folder.iterdir()} == {fresh, other, made.path}


async def test_a_log_that_was_changed_and_an_orphan_are_found(sqlite_store_url: str, tmp_path: Path) -> None:
    settings = load_settings(installed(tmp_path / "node", sqlite_store_url), environ={})
    keyring = Keyring(load_seed(settings.custody.seed_file), delivery_services=(), max_ttl_ms=DAY_MS)
    async with await Store.open(sqlite_store_url) as store:
        await fill(store, keyring)
        await store.commit(AcceptEnvelope(envelope(1)))
        assert faults(await examine(store, keyring)) == []  # type: ignore[arg-type]
        person = (await store.read(ListIdentities(None, 1)))[0]
        lonely = envelope(2, recipient=person.address, expires_at=2**50)
        await store.commit(AcceptEnvelope(lonely))
        await store.commit(Sql("UPDATE audit SET subject = 'other.gw.eth' WHERE seq = 3"))
        await store.commit(Sql("UPDATE mailbox_usage SET messages = 9 WHERE scope = 'all'"))
        await store.commit(Sql("UPDATE envelopes SET body = x'00' WHERE seq = 1"))
        found = {each.check: each for each in await examine(store, keyring)}
    failed = {check for check, each in found.items() if each.state is State.FAIL}
    assert failed == {"orphans", "quotas", "envelopes", "audit"}
    assert "entry 3" in found["audit"].found


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="pg_restore is not installed here"):
        readable_archive(tmp_path / "x")


async def test_where_nothing_can_be_written_it_is_named(sqlite_store_url: str, tmp_path: Path) -> None:
    config = installed(tmp_path / "node", sqlite_store_url)
    settings = load_settings(config, environ={})
    async with await Store.open(sqlite_store_url):
        pass
    with pytest.raises(ConfigError, match=r"gateway.toml/dm3-gateway.*cannot be written: "):
        await backup_of(settings, config, config)
    with (
        pytest.raises(ConfigError, match="nowhere: cannot be written: No such file"),
        scratch_folder(tmp_path / "nowhere"),
    ):
        pass


async def mended(keeper: TombstoneKeeper) -> bool | None:
    """Whether it says that all is well."""
    with suppress(ConfigError):
        await keeper.check()
        return True
    return None


async def test_a_list_of_the_deleted_that_cannot_be_read_is_told_and_goes_on_when_mended(
    sqlite_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tombstones"
    monkeypatch.setattr(tombstone_file, "PERIOD_SECONDS", 0.01)
    async with await Store.open(sqlite_store_url) as store:
        await store.commit(Bury(("a" * 64,), NOW))
        for spoil in (lambda: file.write_bytes(b"b" * 64 + b"\n\xff\n"), file.mkdir):
            spoil()
            with pytest.raises(ConfigError, match=r"tombstones: (is damaged|cannot be read)"):
                read_tombstones(file)
            with capture_logs() as lines:
                keeper = TombstoneKeeper(store, file)
                running = asyncio.create_task(keeper.run())

                async def told(lines: list[EventDict] = lines) -> bool | None:
                    return bool(lines) or None

                await until(told)
                await asyncio.sleep(0.1)
                with pytest.raises(ConfigError, match=r"tombstones: (is damaged|cannot be read)"):
                    await keeper.check()
            assert [(each["event"], each["error"]) for each in lines] == [("tombstones.not_written", "ConfigError")]
            file.rmdir() if file.is_dir() else file.unlink()

            async def written() -> bool | None:
                return file.exists() or None

            await until(written)
            await until(partial(mended, keeper))
            running.cancel()
            assert read_tombstones(file) == ("a" * 64,)
            file.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_a_list_that_root_begins_is_the_node_s(sqlite_store_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    folder.mkdir(mode=0o755)
    os.chown(folder, 12345, 54321)
    async with await Store.open(sqlite_store_url) as store:
        for digest in ("a" * 64, "b" * 64):
            await store.commit(Bury((digest,), NOW))
            assert await keep_tombstones(store, folder / "tombstones") is True
            found = (folder / "tombstones").stat()
            assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 54321, 0o600)


async def test_tombstones_are_written_beside_the_database(sqlite_store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "tombstones"
    async with await Store.open(sqlite_store_url) as store:
        await store.commit(Bury(("a" * 64,), NOW))
        keeper = asyncio.create_task(TombstoneKeeper(store, file).run())

        async def written() -> bool | None:
            return file.exists() or None

        await until(written)
        keeper.cancel()
        assert read_tombstones(file) == ("a" * 64,)
        assert file.stat().st_mode & 0o777 == 0o600
        file.write_text("b" * 64 + "\nnonsense\n")
        assert await keep_tombstones(store, file) is True
        assert read_tombstones(file) == ("a" * 64, "b" * 64), "what another node wrote stays"
        assert await keep_tombstones(store, file) is False
