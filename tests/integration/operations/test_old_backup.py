"""A backup that is older than what happened since: nothing is delivered twice, nobody comes back, no right returns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.app import Gateway
from gateway.bridge import erasing
from gateway.bridge.jobs import inbound_lane
from gateway.cli import app
from gateway.custody.seed import load_seed
from gateway.demo.chain.running import running_chain
from gateway.errors import ConfigError, PersonDeleted
from gateway.ids import CanonicalId, EnsName
from gateway.joining.burying import bury
from gateway.lifecycle import now_ms
from gateway.operations.backup import Made, Order, make_backup
from gateway.operations.backup_file import open_backup
from gateway.operations.restore import Restored, plan_restore, restore
from gateway.operations.scratch import scratch_folder
from gateway.operations.tombstone_file import keep_tombstones, read_tombstones
from gateway.sdk import Retry
from gateway.settings import Settings, load_settings
from gateway.store import Store
from gateway.store.accounts import AccountOf, CloseAccount, PutAccount
from gateway.store.admins import AddAdmin, Admin, DropAdmin, IsAdmin
from gateway.store.backlog import WakeLanes
from gateway.store.identities import IdentityNamed
from gateway.store.jobs import JobState
from gateway.store.names import NameNamed, PutName
from gateway.store.queue import QueueList
from gateway.store.sessions import IssueToken, TokenSubject
from gateway.work import results
from tests.integration.bridge.scripted import BOB, BOB_NAME
from tests.integration.store.values import address, name_row
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import until

ANN = CanonicalId("ann@example.org")
ANN_NAME = EnsName("ann.example.org.paper.gw.eth")
PARENT = EnsName("gw.eth")


async def backup_of(house: House, folder: Path) -> Made:
    with scratch_folder(folder.parent) as scratch:
        return await make_backup(
            house.settings, house.config, Order(folder=folder, recipient=None), scratch, lambda *_: None
        )


async def brought_back(
    made: Made, settings: Settings, url: str, folder: Path, buried: tuple[str, ...], *, replacing: bool
) -> Restored:
    seed = load_seed(settings.custody.seed_file)
    opened = open_backup(made.path, folder, None)
    plan = await plan_restore(opened, url, seed, buried, replacing=replacing)
    assert plan.sentences()[0].startswith("The backup has: ")
    return await restore(opened, plan, seed, partial(bury, parents=(PARENT,)))


@asynccontextmanager
async def node(settings: Settings, paper: PaperAdapter) -> AsyncIterator[Gateway]:
    gateway = await Gateway.open(settings, {paper.name: paper})
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.close()


async def quiet(store: Store) -> bool | None:
    """Once nothing waits any more."""
    return not await store.read(QueueList(JobState.READY, 10)) or None


@pytest.mark.attack(53)
@pytest.mark.parametrize("replaced", [True, False], ids=["database-replaced", "database-lost"])
async def test_a_restored_backup_repeats_nothing_and_brings_nobody_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (3600,) * 6)
    monkeypatch.setattr(erasing, "SECOND_LOOK_MS", 0)
    paper, owner = PaperAdapter(), address("owner")
    async with running_chain() as chain:
        async with running_house(tmp_path / "house", adapters={paper.name: paper}, chain=chain) as house:
            store, native = house.gateway.store, await house.native("native.eth")
            await paper.write(BOB, native.name, "hello", "n1")
            await paper.write(ANN, native.name, "hello", "n1")
            await until(partial(quiet, store))
            await native.send(BOB_NAME, "delivered before")
            await paper.wait_delivered(1)
            paper.script.append(Retry("later"))
            await native.send(BOB_NAME, "waits at the backup")
            await paper.wait_tries(2)
            await store.commit(PutAccount(owner, EnsName("owner.eth"), "{}", 1))
            await store.commit(AddAdmin(Admin(PARENT, owner, 1)))
            await store.commit(PutName(name_row("owned.gw.eth")))
            made = await backup_of(house, tmp_path / "backups")

            bob = await store.read(IdentityNamed(BOB_NAME))
            assert bob is not None
            await store.commit(WakeLanes((inbound_lane(bob, native.name),), now_ms()))
            await paper.wait_delivered(2)
            await native.send(BOB_NAME, "after the backup")
            await paper.wait_delivered(3)
            await paper.ctx.people.delete(ANN)
            await store.commit(CloseAccount(owner))
            await store.commit(DropAdmin(PARENT, owner))
            await store.commit(IssueToken(b"t" * 32, native.name, owner, b"k" * 32, 2**50))
            await until(partial(quiet, store))
            await keep_tombstones(store, house.settings.operation.tombstone_file)
            settings = house.settings
        keys = [each.key for each in paper.delivered]
        assert len(set(keys)) == 3
        url = settings.store.url if replaced else f"sqlite:///{tmp_path / 'fresh.db'}"
        buried = () if replaced else read_tombstones(settings.operation.tombstone_file)
        (tmp_path / "apart").mkdir()
        done = await brought_back(made, settings, url, tmp_path / "apart", buried, replacing=replaced)
        assert (done.deleted, done.renewed.closed, done.renewed.revoked) == (1, 1, int(replaced))

        moved = settings.model_copy(update={"store": settings.store.model_copy(update={"url": url})})
        async with node(moved, paper) as gateway:
            await gateway.store.commit(WakeLanes((inbound_lane(bob, native.name),), now_ms()))
            await until(partial(quiet, gateway.store))
            again = [each.key for each in paper.delivered[3:]]
            # With the database that was replaced we know; without it the network knows, because the key is the same.
            assert again == ([] if replaced else [keys[1]])
            assert await gateway.store.read(IdentityNamed(ANN_NAME)) is None
            with pytest.raises(PersonDeleted):
                await paper.write(ANN, native.name, "it is me", "n2")
            assert (await gateway.store.read(AccountOf(owner))).closed is True
            assert await gateway.store.read(IsAdmin(PARENT, owner)) is not replaced
            assert await gateway.store.read(TokenSubject(b"t" * 32, 1)) is None
            owned = await gateway.store.read(NameNamed(EnsName("owned.gw.eth")))
            assert owned is not None
            assert owned.sequence >= 1_000_000, "an order that was signed for what it was is void"


def test_the_commands(tmp_path: Path, sqlite_store_url: str) -> None:
    """Each says what it did, and nothing is written where nothing should be."""
    import pyrage  # type: ignore[import-untyped]

    from gateway.operations.installation import Answers, create_installation

    answers = Answers(
        parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9", store_url=sqlite_store_url
    )
    config = create_installation(tmp_path / "node", answers)
    secret, key = pyrage.x25519.Identity.generate(), tmp_path / "backup.key"
    key.write_text(f"{secret}\n")
    at, run = ["--config", str(config)], CliRunner()

    refused = run.invoke(app, ["backup", *at])
    assert isinstance(refused.exception, ConfigError)
    assert not (tmp_path / "node" / "backups").exists()
    made = run.invoke(app, ["backup", *at, "--to", str(secret.to_public()), "--with-keys"])
    assert made.exit_code == 0, made.output
    path = made.stdout.strip()
    assert Path(path).parent == tmp_path / "node" / "backups"

    verified = run.invoke(app, ["verify", path, *at, "-i", str(key)])
    assert (verified.exit_code, "the seed opens all 0" in verified.stdout) == (0, True), verified.output
    assert run.invoke(app, ["verify", "--live", *at]).exit_code == 0
    assert run.invoke(app, ["verify", *at]).exit_code == 2

    before = (tmp_path / "gateway.db").read_bytes()
    told = run.invoke(app, ["restore", path, *at, "-i", str(key), "--replace", "--dry-run"])
    assert "would be replaced" in told.stdout
    assert "Nothing was changed." in told.stdout
    assert (tmp_path / "gateway.db").read_bytes() == before
    assert isinstance(run.invoke(app, ["restore", path, *at, "-i", str(key)]).exception, ConfigError)
    mistyped = run.invoke(
        app, ["restore", path, *at, "-i", str(key), "--replace", "--tombstones", str(tmp_path / "no")]
    )
    assert (mistyped.exit_code, "--tombstones" in mistyped.stderr) == (2, True), "it would bring people back"
    assert (tmp_path / "gateway.db").read_bytes() == before
    other = f"sqlite:///{tmp_path / 'other.db'}"
    done = run.invoke(app, ["restore", path, *at, "-i", str(key), "--to", other])
    assert (done.exit_code, "epoch 2" in done.stdout) == (0, True), done.output
    assert (tmp_path / "other.db").stat().st_mode & 0o777 == 0o600
    assert load_settings(config, environ={}).store.url == sqlite_store_url
