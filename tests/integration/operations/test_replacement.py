"""PostgreSQL: a restore takes the place of a database whole or not at all, whenever it ends, and forgets nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.errors import ConfigError, RestoreUnfinished, SchemaMismatch, Unavailable
from gateway.ids import EnsName
from gateway.operations import restore as restoring
from gateway.operations.checks import store as checks
from gateway.operations.installation import Answers, create_installation
from gateway.store import Store, migrate, replacement
from gateway.store.accounts import PutAccount
from gateway.store.api_keys import AddApiKey, ApiKey, ApiKeyOf, RevokeApiKey
from gateway.store.mailbox import AcceptEnvelope, CountMailbox, EmptyMailbox
from gateway.store.schema import RESTORING, REVISION
from gateway.store.sessions import IssueToken, TokenSubject
from gateway.store.snapshot import restore_archive, take_snapshot
from tests.integration.store.values import BOB_ADDRESS, NOW, address, envelope
from tests.support.postgres import PostgresServer, database_of

ROOT = Path(__file__).parents[3]
GW = EnsName("gw.eth")
KEY = ApiKey("aa", b"d" * 32, "Shop", GW, ("names:read",), "operator", NOW, None)
DEADLINE_S = 60


@dataclass
class Place:
    """A database that a backup is older than, and a table of somebody else's in it."""

    server: PostgresServer
    url: str
    config: Path
    backup: str

    def restore(self, *options: str) -> Result:
        return CliRunner().invoke(app, ["restore", self.backup, "--config", str(self.config), *options])

    def program(self, *options: str, first: str = "") -> subprocess.Popen[str]:
        """The same as a process of its own, which does ``first`` before."""
        arguments = ["restore", self.backup, "--config", str(self.config), *options]
        code = f"import os, signal\nfrom gateway.cli import app\n{first}\napp({arguments!r})"
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def sql(self, statement: str) -> str:
        return self.server.sql(statement, database_of(self.url))

    def schemas(self) -> list[str]:
        return self.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'public%' ORDER BY 1").split()

    def others(self) -> str:
        return self.sql("SELECT string_agg(note, ',') FROM theirs")


async def before_the_backup(url: str) -> None:
    async with await Store.open(url) as store:
        await store.commit(AddApiKey(KEY))
        await store.commit(AcceptEnvelope(envelope(1)))
        await store.commit(IssueToken(b"t" * 32, EnsName("bob.eth"), address("bob"), b"k" * 32, 2**50))
        await store.commit(PutAccount(BOB_ADDRESS, EnsName("bob.eth"), "{}", NOW))


async def after_the_backup(url: str) -> None:
    async with await Store.open(url) as store:
        await store.commit(RevokeApiKey(GW, KEY.id, NOW))
        await store.commit(EmptyMailbox(BOB_ADDRESS, 10))
        await store.commit(AcceptEnvelope(envelope(2)))


@pytest.fixture
def place(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.setenv("PATH", f"{postgres_server._bin}:{os.environ['PATH']}")
    migrate.upgrade(postgres_url)
    answers = Answers(
        parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9", store_url=postgres_url
    )
    config = create_installation(tmp_path / "node", answers)
    place = Place(postgres_server, postgres_url, config, "")
    place.sql("CREATE TABLE theirs (note text, jobs bigint REFERENCES jobs (id)); INSERT INTO theirs VALUES ('kept')")
    asyncio.run(before_the_backup(postgres_url))
    made = CliRunner().invoke(app, ["backup", "--config", str(config), "--plain"])
    assert made.exit_code == 0, made.exception
    place.backup = made.stdout.splitlines()[-1]
    asyncio.run(after_the_backup(postgres_url))
    yield place
    assert place.others() == "kept"


async def rights_and_mail(url: str) -> tuple[bool, int, bool]:
    """Whether the key is ended, how much mail waits, whether the session is live."""
    async with await Store.open(url) as store:
        key = await store.read(ApiKeyOf(KEY.id))
        assert key is not None
        live = await store.read(TokenSubject(b"t" * 32, NOW)) is not None
        return key.revoked_at is not None, await store.read(CountMailbox(BOB_ADDRESS)), live


AS_IT_WAS = (True, 1, True)
RESTORED = (True, 0, False)
"""The key stays ended, what was picked up does not come again, what came after the backup is lost."""


def found(place: Place) -> tuple[bool, int, bool]:
    return asyncio.run(rights_and_mail(place.url))


def refused(place: Place) -> None:
    """By a node, and by whoever migrates."""
    with pytest.raises(RestoreUnfinished, match="run `dm3-gateway restore --replace` again"):
        found(place)
    for step in (migrate.upgrade, lambda url: migrate.bring_to(url, "0005")):
        with pytest.raises(RestoreUnfinished):
            step(place.url)
    with pytest.raises(RestoreUnfinished):
        migrate.downgrade(place.url, "base")
    house: Any = SimpleNamespace(settings=SimpleNamespace(store=SimpleNamespace(url=place.url)))
    [finding] = asyncio.run(checks._database(house))
    assert finding.fix.startswith("dm3-gateway restore --replace"), "doctor says the same"


KILLED_BEFORE_RENEWAL = """
from gateway.operations import restore
async def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
restore._renew = die
"""
KILLED_AFTER_RENEWAL = """
from gateway.store import replacement
async def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
replacement._finish = die
"""
KILLED_BEFORE_PG_RESTORE = """
from gateway.operations import restore
async def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
restore.restore_archive = die
"""


def test_a_restore_takes_the_place_of_ours_alone(place: Place) -> None:
    done = place.restore("--replace")
    assert done.exit_code == 0, done.exception
    assert found(place) == RESTORED
    assert place.schemas() == ["public"]
    assert migrate.current(place.url) == REVISION
    # And so does the next one: what it restores is not ended by what this one began.
    assert place.restore("--replace").exit_code == 0


def fail(*_: Any, **__: Any) -> Any:
    raise OSError("the lights went out")


@pytest.mark.parametrize("where", ["pg_restore", "upgrade", "renewal", "end"])
def test_a_restore_that_fails_leaves_what_was_there(
    place: Place, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        if where == "pg_restore":
            wrapped(tmp_path, patch, 'case "$*" in *--list*) exec {0} "$@";; esac; echo disk full >&2; exit 1')
        elif where == "end":
            patch.setattr(replacement, "_finish", fail)
        else:
            patch.setattr(restoring, {"upgrade": "upgrade_restored", "renewal": "_renew"}[where], fail)
        assert place.restore("--replace").exit_code != 0
    assert found(place) == AS_IT_WAS
    assert place.schemas() == ["public"]
    assert place.restore("--replace").exit_code == 0
    assert found(place) == RESTORED


def wrapped(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let pg_restore be ``script``, which knows the real one as {0}."""
    real = next(path for each in os.environ["PATH"].split(":") if (path := Path(each) / "pg_restore").exists())
    (folder / "wrapped").mkdir(exist_ok=True)
    program = folder / "wrapped" / "pg_restore"
    program.write_text(f"#!/bin/sh\n{script.format(real)}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_what_was_there(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """And ends pg_restore, which would go on."""
    begun = tmp_path / "begun"
    with monkeypatch.context() as patch:
        wrapped(tmp_path, patch, f'case "$*" in *--list*) exec {{0}} "$@";; esac; echo $$ > {begun}; exec sleep 600')
        with place.program("--replace") as process:
            awaited(lambda: begun.exists() and begun.read_text().endswith("\n"), process)
            process.send_signal(number)
            assert process.wait(DEADLINE_S) != 0
    awaited(lambda: not Path(f"/proc/{begun.read_text().strip()}").exists())
    assert found(place) == AS_IT_WAS
    assert place.schemas() == ["public"]


def awaited(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate()[0])
        time.sleep(0.02)


@pytest.mark.parametrize("first", [KILLED_BEFORE_PG_RESTORE, KILLED_BEFORE_RENEWAL, KILLED_AFTER_RENEWAL])
def test_a_restore_that_was_killed_is_not_opened_and_the_next_forgets_nothing(place: Place, first: str) -> None:
    with place.program("--replace", first=first) as process:
        output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGKILL, output
    assert place.schemas() == ["public", "public_replaced"]
    refused(place)

    told = place.restore("--replace", "--dry-run")
    assert "What it knows would be taken over" in told.stdout
    assert isinstance(place.restore().exception, ConfigError)
    done = place.restore("--replace")
    assert done.exit_code == 0, done.exception
    assert found(place) == RESTORED
    assert place.schemas() == ["public"]


def test_the_next_one_that_fails_puts_back_what_the_first_replaced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.program("--replace", first=KILLED_BEFORE_RENEWAL) as process:
        process.communicate(timeout=DEADLINE_S)
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_renew", fail)
        assert place.restore("--replace").exit_code != 0
    assert found(place) == AS_IT_WAS


def test_what_was_replaced_can_be_put_back_by_hand(place: Place) -> None:
    """As deploy/README.md says."""
    with place.program("--replace", first=KILLED_AFTER_RENEWAL) as process:
        process.communicate(timeout=DEADLINE_S)
    refused(place)
    [by_hand] = re.findall(r"```sql\n(DO \$\$.*?)```", (ROOT / "deploy" / "README.md").read_text(), re.DOTALL)
    place.sql(by_hand)
    assert found(place) == AS_IT_WAS


def test_what_cannot_be_put_back_waits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_url: str) -> bool:
        raise Unavailable("the server went away")

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_renew", fail)
        patch.setattr(replacement, "_put_back", away)
        error = place.restore("--replace").exception
    assert isinstance(error, Unavailable)
    assert "the server went away" in error.detail
    assert "restore --replace" in error.detail
    refused(place)
    assert place.restore("--replace").exit_code == 0
    assert found(place) == RESTORED


def test_an_end_whose_answer_got_lost_is_an_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = replacement._finish

    async def lost(url: str) -> None:
        await finish(url)
        raise Unavailable("connection lost")

    monkeypatch.setattr(replacement, "_finish", lost)
    done = place.restore("--replace")
    assert done.exit_code == 0, done.exception
    assert found(place) == RESTORED


def test_into_an_empty_database(place: Place) -> None:
    """Killed or failed, it holds nothing that a node would open; what is not ours there is no reason to replace."""
    name = place.server.fresh_database()
    empty = Place(place.server, place.server.url(name), place.config, place.backup)
    empty.sql("CREATE TABLE theirs (note text); INSERT INTO theirs VALUES ('kept')")
    with place.program("--to", empty.url, first=KILLED_BEFORE_RENEWAL) as process:
        process.communicate(timeout=DEADLINE_S)
    assert empty.schemas() == ["public"]
    refused(empty)
    done = place.restore("--to", empty.url, "--replace")
    assert done.exit_code == 0, done.exception
    assert found(empty) == (False, 1, False), "nothing was there that knew better"
    assert empty.others() == "kept"
    place.server.drop_database(name)


def test_a_schema_of_somebody_else_s_is_not_taken(place: Place) -> None:
    place.sql("CREATE SCHEMA public_replaced")
    error = place.restore("--replace").exception
    assert isinstance(error, ConfigError)
    assert "public_replaced" in error.detail
    assert found(place) == AS_IT_WAS


def test_one_restore_at_a_time(place: Place) -> None:
    async def both() -> None:
        async with replacement.replacement(place.url):
            with pytest.raises(ConfigError, match="another restore"):
                async with replacement.replacement(place.url):
                    raise AssertionError
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(both())
    assert found(place) == AS_IT_WAS


def test_a_backup_of_an_older_schema_is_brought_up_unseen(place: Place, tmp_path: Path) -> None:
    migrate.downgrade(place.url, "0005")

    async def work() -> None:
        await take_snapshot(place.url, tmp_path / "old.pgdump")
        async with replacement.replacement(place.url):
            await restore_archive(place.url, tmp_path / "old.pgdump", marked=True)
            await asyncio.to_thread(migrate.upgrade_restored, place.url, "0005")
            assert await asyncio.to_thread(migrate.current, place.url) == RESTORING

    asyncio.run(work())
    assert found(place) == AS_IT_WAS


def test_a_migration_that_comes_late_leaves_what_was_put_back(place: Place) -> None:
    """A thread is not broken off with the restore that began it."""
    with pytest.raises(SchemaMismatch, match="no restore is at work"):
        migrate.upgrade_restored(place.url, "0005")
    assert found(place) == AS_IT_WAS


def test_a_role_without_the_right(place: Place) -> None:
    place.sql(
        "DROP ROLE IF EXISTS narrow; CREATE ROLE narrow LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO narrow;"
    )
    narrow = place.url.replace("postgres@", "narrow@")

    async def try_it() -> None:
        async with replacement.replacement(narrow):
            raise AssertionError

    with pytest.raises(ConfigError, match="needs CREATE on its database"):
        asyncio.run(try_it())
    assert found(place) == AS_IT_WAS
    place.sql("DROP OWNED BY narrow; DROP ROLE narrow")
