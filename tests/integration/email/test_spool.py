"""A mail on its way in: in memory while small, in a file that has no name when large."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from adapters.email.spool import IN_MEMORY, Spool


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go in this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_in(folder: Path) -> list[Path]:
    """Files of a folder."""
    return list(folder.iterdir())


@pytest.mark.parametrize("blocks", [[], [b""], [b"a", b"", b"bc"], [b"x" * IN_MEMORY], [b"y" * 100_000] * 20])
async def test_what_goes_in_comes_out(blocks: list[bytes]) -> None:
    with Spool() as spool:
        for block in blocks:
            await spool.write(block)
        assert spool.read() == b"".join(blocks)
        assert spool.read() == b"".join(blocks)


@pytest.mark.parametrize("blocks", [1, 3])
async def test_content_is_all_of_it(folder: Path, blocks: int) -> None:
    with Spool() as spool:
        for number in range(blocks):
            await spool.write(b"%d" % number * IN_MEMORY)
        content = spool.content()
        assert content[:] == spool.read() == b"".join(b"%d" % number * IN_MEMORY for number in range(blocks))
        assert isinstance(content, bytes) is (blocks == 1)


async def test_a_small_mail_makes_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(tempfile, "TemporaryFile", no_file)
    with Spool() as spool:
        await spool.write(b"x" * IN_MEMORY)
        assert len(spool.read()) == IN_MEMORY


async def test_a_large_mail_leaves_nothing_behind(folder: Path) -> None:
    with Spool() as spool:
        for _ in range(5):
            await spool.write(b"x" * IN_MEMORY)
        assert left_in(folder) == []
    assert left_in(folder) == []


async def test_nothing_is_left_when_a_session_breaks_off(folder: Path) -> None:
    async def session() -> None:
        with Spool() as spool:
            await spool.write(b"x" * (IN_MEMORY + 1))
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await session()
    assert left_in(folder) == []


async def test_whoever_leaves_in_the_middle_of_a_write_leaves_no_file_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that moves a mail to the disk goes on when its connection is gone."""
    begun, go_on, opened = threading.Event(), threading.Event(), []
    make = tempfile.TemporaryFile

    def slow(*args: Any, **options: Any) -> Any:
        begun.set()
        go_on.wait(10)
        opened.append(make(*args, **options))
        return opened[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", slow)

    async def receive() -> None:
        with Spool() as spool:
            await spool.write(bytes(IN_MEMORY + 1))
            await spool.flush()

    task = asyncio.create_task(receive())
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert [each.closed for each in opened] == [True]
