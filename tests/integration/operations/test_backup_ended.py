"""Commands that have a database in clear on the disk, and are told to end meanwhile."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.errors import ConfigError
from gateway.operations.installation import Answers, create_installation
from gateway.operations.scratch import PREFIX, scratch_folder
from tests.support.waiting import until

SLOW_COPY = """
import time
from contextlib import contextmanager
from gateway import cli, cli_backup
from gateway.store import snapshot

snapshot.PAGES_AT_ONCE = 1

@contextmanager
def slow():
    yield lambda done, total: time.sleep(0.2)

cli_backup._pages = slow
cli.main()
"""
SLOW_PACKING = """
import time
from gateway import cli
from gateway.operations import backup_file

class Reading(backup_file._Reading):
    def read(self, size=-1):
        time.sleep(0.2)
        return super().read(size)

backup_file._Reading = Reading
cli.main()
"""
SLOW_LOOK = """
import asyncio, sys
from pathlib import Path
from gateway import cli
from gateway.operations import verify

async def examine(*_):
    Path(f"{sys.argv[-1]}.reached").touch()
    await asyncio.sleep(600)

verify.examine = examine
cli.main()
"""
SLOW_PLAN = """
import asyncio, sys
from pathlib import Path
from gateway import cli
from gateway.operations import restore

async def plan_restore(*_, **__):
    Path(f"{sys.argv[-1]}.reached").touch()
    await asyncio.sleep(600)

restore.plan_restore = plan_restore
cli.main()
"""
CHILD = """
import asyncio, subprocess, sys
from gateway.operations.ending import orderly_end

with orderly_end():
    asyncio.run(asyncio.to_thread(subprocess.run, ["sleep", "600"]))
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.getcwd()}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9")
    path = create_installation(tmp_path / "node", answers)
    assert CliRunner().invoke(app, ["migrate", "--config", str(path)]).exit_code == 0
    return path


async def started(program: str, *arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *map(str, arguments),
        env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


def children(pid: int) -> list[str]:
    found: list[str] = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError):  # threads end, too
            found += each.read_text().split()
    return found


async def ended(process: asyncio.subprocess.Process, number: int) -> tuple[int | None, str]:
    process.send_signal(number)
    told, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, told.decode()


@pytest.mark.parametrize(
    ("program", "command", "number", "code"),
    [
        (SLOW_COPY, "backup", signal.SIGTERM, 143),
        (SLOW_COPY, "backup", signal.SIGHUP, 129),
        (SLOW_PACKING, "backup", signal.SIGTERM, 143),
        (SLOW_LOOK, "verify", signal.SIGTERM, 143),
        (SLOW_PLAN, "restore", signal.SIGTERM, 143),
    ],
)
async def test_a_command_that_is_told_to_end_leaves_nothing_in_clear(
    config: Path, tmp_path: Path, program: str, command: str, number: int, code: int
) -> None:
    folder, at = tmp_path / "b", ["--config", str(config)]
    arguments: list[object] = [folder, "--plain"]
    if command != "backup":
        made = await asyncio.to_thread(CliRunner().invoke, app, ["backup", str(folder), "--plain", *at])
        assert made.exit_code == 0, made.output
        arguments = [*folder.iterdir()]
    before = {*folder.glob("*")}
    process = await started(program, command, *arguments, *at)

    async def under_way() -> bool | None:
        if command != "backup":
            return any(config.parent.glob("*.reached")) or None
        half = folder.glob(".dm3-gateway-*") if program is SLOW_PACKING else ()
        return any(half or config.parent.glob(f"{PREFIX}*/database.sqlite")) or None

    await until(under_way)
    assert [*config.parent.glob(f"{PREFIX}*/database.sqlite")] != []
    returned, told = await ended(process, number)
    assert (returned, "Traceback" in told) == (code, False), told
    assert [*config.parent.glob(f"{PREFIX}*")] == []
    assert {*folder.glob("*"), *folder.glob(".*")} == before, "and no half of a backup"


async def test_a_program_that_works_for_a_command_ends_with_it() -> None:
    process = await started(CHILD)

    async def forked() -> str | None:
        return next(iter(children(process.pid)), None)

    child = await until(forked)
    assert (await ended(process, signal.SIGTERM))[0] == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)


def test_what_a_killed_process_left_goes_after_a_day(tmp_path: Path) -> None:
    left, fresh, held, other = (tmp_path / f"{PREFIX}{name}" for name in ("left", "fresh", "held", "other"))
    for each in (left, fresh, held):
        each.mkdir()
        (each / "keys.json").touch()
    other.symlink_to(fresh)
    then = time.time() - 90_000
    for each in (left, held, other):
        os.utime(each, (then, then), follow_symlinks=False)
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with scratch_folder(tmp_path) as scratch:
        os.utime(scratch, (then, then))
        with scratch_folder(tmp_path):
            assert scratch.exists(), "a backup may take longer"
    os.close(descriptor)
    assert {*tmp_path.iterdir()} == {fresh, held, other}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: cannot be written"), scratch_folder(tmp_path / "nowhere"):
        pass
