"""A damaged SQLite file is what a restore is for: it gets out of the way, whatever is wrong with it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.errors import ConfigError, Unavailable
from gateway.operations.installation import Answers, create_installation
from gateway.store import Store
from gateway.store.mailbox import AcceptEnvelope, CountMailbox
from gateway.store.sqlite_file import count_tables, fold_if_whole, is_open
from tests.integration.store.values import BOB_ADDRESS, envelope

PAGE = 8192
HOLD = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("PRAGMA journal_mode=WAL").fetchall()
conn.execute("SELECT count(*) FROM sqlite_master").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


def of_something_else(path: Path) -> None:
    """What a file system gives back after a crash: another file's content."""
    path.write_bytes(b"this is a letter and no database" * 4096)


def without_a_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(100))


def without_its_rows(path: Path) -> None:
    """The catalogue can be read, and nothing else."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(os.urandom(size - PAGE))


def cut_short(path: Path) -> None:
    os.truncate(path, PAGE * 2)


def without_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("DROP TABLE jobs")


DAMAGES = (of_something_else, without_a_header, without_its_rows, cut_short, without_a_table)


@pytest.fixture
def config(tmp_path: Path, sqlite_store_url: str) -> Path:
    answers = Answers(
        parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9", store_url=sqlite_store_url
    )
    return create_installation(tmp_path / "node", answers)


async def accept(url: str, number: int) -> None:
    async with await Store.open(url) as store:
        await store.commit(AcceptEnvelope(envelope(number)))


async def waiting(url: str) -> int:
    async with await Store.open(url) as store:
        return await store.read(CountMailbox(BOB_ADDRESS))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_a_damaged_database_is_replaced(
    config: Path, sqlite_store_url: str, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    at, run, file = ["--config", str(config)], CliRunner(), tmp_path / "gateway.db"
    asyncio.run(accept(sqlite_store_url, 1))
    made = run.invoke(app, ["backup", *at, "--plain"])
    assert made.exit_code == 0, made.output
    backup = made.stdout.strip()
    damage(file)
    log = tmp_path / "gateway.db-wal"
    log.write_bytes(b"a log that nobody could fold")
    broken = file.read_bytes()

    assert isinstance(run.invoke(app, ["restore", backup, *at]).exception, ConfigError)
    told = run.invoke(app, ["restore", backup, *at, "--replace", "--dry-run"])
    assert told.exit_code == 0, told.exception
    assert "Nothing can be taken over from it: it is of another revision or cannot be read." in told.stdout
    done = run.invoke(app, ["restore", backup, *at, "--replace"])
    assert done.exit_code == 0, done.exception
    [aside] = tmp_path.glob("gateway.db.replaced-*[0-9]")
    if damage in (of_something_else, without_a_header):
        assert aside.read_bytes() == broken, "whoever can mend it finds it as it was"
        assert aside.with_name(f"{aside.name}-wal").exists()
    assert not log.exists()
    assert asyncio.run(waiting(sqlite_store_url)) == 1


@pytest.mark.parametrize("damage", [None, without_a_header], ids=["whole", "damaged"])
def test_a_file_that_another_process_has_open(sqlite_store_url: str, damage: Callable[[Path], None] | None) -> None:
    path = sqlite_store_url.removeprefix("sqlite:///")
    assert is_open(path) is False
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        if damage is not None:
            damage(Path(path))
        assert is_open(path) is True
        holder.communicate("")
    assert is_open(path) is False


def test_a_file_that_is_locked_is_in_use_and_not_damaged(
    sqlite_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.sqlite_file.BUSY_TIMEOUT_S", 0.1)
    path = sqlite_store_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        conn.execute("BEGIN EXCLUSIVE")
        for look in (count_tables, fold_if_whole):
            with pytest.raises(ConfigError, match="open: stop it first"):
                look(path)
        assert is_open(path) is True


def test_a_file_that_cannot_be_opened_is_not_taken_for_damaged(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        count_tables(str(tmp_path / "nothing.db"))
